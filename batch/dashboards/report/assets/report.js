// The page: filters, cards, themes. Whatever comes from users is set as text, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const lastDay = data.lastDay ? figures.dayNumber(data.lastDay, data.firstDay) : 0;
  const selection = { from: 0, to: lastDay, projects: null };
  const drawn = new Map();
  const widths = new Map();
  const expanded = new Set();
  let colourOf = charts.colours(data);
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // ── tables ──
  const fillTable = (place, result, limit) => {
    const { question, grain } = result;
    const isHeat = question.display === "heatmap";
    const kind = question.kinds[question.by];
    const isSplitTable = question.display === "table" && question.series;
    const series = isHeat ? [...result.series].sort((a, b) => a.key - b.key) : result.series;
    const head = make("tr", {}, make("th", { scope: "col", className: "name", textContent: title(question.by) }));
    if (isSplitTable) head.append(make("th", { scope: "col", className: "name second", textContent: title(question.series) }));
    for (const each of series) {
      head.append(make("th", { scope: "col", textContent: isHeat ? shown.key(each.key, "weekday") : each.name }));
    }
    const body = make("tbody", {});
    const rows = result.isTime ? result.rows.map((row, index) => [row, index]).reverse() : result.rows.map((row, index) => [row, index]);
    const most = Math.max(...(series[0] ? series[0].values.map((value) => value || 0) : [0]), 0);
    for (const [row, index] of rows.slice(0, limit)) {
      const text = shown.key(row.key, kind, grain);
      const line = make("tr", {}, make("th", { scope: "row", className: "name", title: text },
        ...breakable(shown.line(text, kind))));
      if (isSplitTable) {
        // On a phone the second name stands below the first.
        line.firstChild.dataset.of = row.keys[1];
        line.append(make("td", { className: "name second", textContent: row.keys[1] }));
      }
      series.forEach((each, place) => {
        const cell = make("td", { textContent: shown.full(each.values[index], each.unit) });
        if (question.display === "table" && place === 0 && most) {
          cell.className = "first";
          cell.style.setProperty("--share", `${(100 * (each.values[index] || 0)) / most}%`);
        }
        line.append(cell);
      });
      body.append(line);
    }
    const table = make("table", {}, make("thead", {}, head), body);
    table.setAttribute("aria-label", question.title);
    place.replaceChildren(table);
    place.setAttribute("aria-label", `Table: ${question.title}`);
  };
  // Long names break after a slash rather than within a word.
  const breakable = (text) => text.split(/(?<=\/)/).flatMap((part) => [part, make("wbr", {})]);
  const title = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

  // ── cards ──
  // What the platform tells about itself has days of its own, and no projects: all of them are shown. A limit holds
  // for all projects together, whichever are selected.
  const scopeOf = (question) => {
    if (question.hasProjects) return [data, selection];
    if (question.spansProjects) return [data, { ...selection, projects: null }];
    const [firstDay, lastDay] = question.days.length ? question.days : [null, null];
    const to = firstDay ? figures.dayNumber(lastDay, firstDay) : 0;
    return [{ ...data, firstDay, lastDay }, { from: 0, to, projects: null }];
  };
  const draw = (card) => {
    const name = card.dataset.question;
    const question = data.questions[name];
    const [known, chosen] = scopeOf(question);
    if (question.display === "numbers") return drawNumbers(card, question, known, chosen);
    const result = charts.answer(known, question, chosen, colourOf);
    card.hidden = result.isEmpty && question.mayBeEmpty;
    card.querySelector(".empty").hidden = !result.isEmpty;
    const table = card.querySelector(".table");
    const details = card.querySelector("details");
    if (question.display === "table") {
      table.hidden = result.isEmpty;
      table.classList.toggle("is-long", expanded.has(name));
      fillTable(table, result, expanded.has(name) ? Infinity : question.top);
      drawMore(card, name, question, result);
    } else {
      const chart = card.querySelector(".chart");
      chart.hidden = result.isEmpty;
      details.hidden = result.isEmpty;
      if (!result.isEmpty) drawChart(chart, result);
      const fill = () => { if (details.open) fillTable(table, result, Infinity); };
      details.ontoggle = fill;
      fill();
    }
    card.dataset.drawn = "true";
  };
  const drawChart = (place, result) => {
    // Sizes are told, not asked for: each question would make the browser lay out the whole page anew.
    const width = widths.get(place) || place.clientWidth;
    const height = charts.height(result, width);
    place.style.height = `${height}px`;
    // Few bars beside a taller chart spread a little, and no more.
    if (result.question.display === "bars") place.style.maxHeight = `${Math.max(height, result.rows.length * 42)}px`;
    let chart = drawn.get(place);
    if (chart) chart.resize({ width, height });
    else {
      drawn.set(place, (chart = echarts.init(place, null, { renderer: "svg", width, height })));
      sizes.observe(place);
    }
    chart.setOption(charts.option(result, width), { notMerge: true });
    place.setAttribute("role", "img");
  };
  // A chart as tall as its neighbour in the row, whenever that changes.
  const sizes = new ResizeObserver((changes) => {
    for (const { target, contentRect } of changes) {
      const chart = drawn.get(target);
      const isOther = Math.abs(chart.getHeight() - contentRect.height) > 1 || Math.abs(chart.getWidth() - contentRect.width) > 1;
      if (contentRect.width && isOther) chart.resize({ width: contentRect.width, height: contentRect.height });
    }
  });
  const drawMore = (card, name, question, result) => {
    card.querySelector(".more")?.remove();
    if (result.rows.length <= question.top) return;
    const isOpen = expanded.has(name);
    const button = make("button", { type: "button", className: "more", textContent: isOpen ? "Show fewer" : `Show all ${result.rows.length}` });
    button.onclick = () => { expanded[isOpen ? "delete" : "add"](name); draw(card); };
    card.querySelector(".table").after(button);
  };

  // ── big numbers ──
  const drawNumbers = (place, question, data, selection) => {
    const days = selection.to - selection.from + 1;
    const before = { ...selection, from: selection.from - days, to: selection.from - 1 };
    const grain = days <= 62 ? "day" : "week";
    const entries = figures.grouped(data, question, selection, ["day"], grain);
    const earlier = before.from >= 0 ? figures.grouped(data, question, before, ["day"], grain) : [];
    const total = (groups, measure) => groups.reduce((sum, each) => sum + (figures.value(each.group, measure) || 0), 0);
    const found = new Map(entries.map((entry) => [entry.keys[0], entry.group]));
    const steps = data.firstDay ? figures.steps(selection.from, selection.to, data.firstDay, grain) : [];
    place.replaceChildren(...question.measures.map((measure) => {
      const now = total(entries, measure);
      const card = make("div", { className: "number" },
        make("h3", { textContent: measure.label }),
        make("output", { textContent: shown.full(now, measure.unit), title: now.toLocaleString("en") }),
        make("p", { textContent: before.from >= 0 ? change(now, total(earlier, measure), days) : "" }));
      card.dataset.value = now;
      card.append(sparkline(steps.map((step) => figures.value(found.get(step), measure) || 0)));
      return card;
    }));
    place.dataset.drawn = "true";
  };
  const change = (now, before, days) => {
    if (!before) return "";
    const share = Math.round((100 * (now - before)) / before);
    const span = days === 1 ? "the day before" : `the ${days} days before`;
    return share ? `${share > 0 ? "▲" : "▼"} ${Math.abs(share)} % against ${span}` : `as in ${span}`;
  };
  const sparkline = (values) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 30");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const most = Math.max(...values, 0) || 1;
    const points = values.map((value, index) => `${((100 * index) / Math.max(values.length - 1, 1)).toFixed(2)},${(28 - (26 * value) / most).toFixed(2)}`);
    for (const [className, d] of [["fill", `M0,30L${points.join("L")}L100,30Z`], ["stroke", `M${points.join("L")}`]]) {
      if (values.length < 2) break;
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", className);
      path.setAttribute("d", d);
      svg.append(path);
    }
    return svg;
  };

  // ── drawing: what can be seen at once, the rest while nothing else is to do ──
  const cards = [...document.querySelectorAll("[data-question]")];
  let round = 0;
  const drawAll = (isNow) => {
    const mine = ++round;
    root.dataset.ready = "false";
    for (const place of document.querySelectorAll(".chart")) widths.set(place, place.clientWidth);
    const isSeen = (card) => { const box = card.getBoundingClientRect(); return box.top < innerHeight && box.bottom > 0; };
    const pending = isNow ? [] : cards.filter((card) => !isSeen(card));
    for (const card of cards) if (!pending.includes(card)) draw(card);
    const goOn = () => {
      if (mine !== round) return;
      const until = performance.now() + 12;
      while (pending.length && performance.now() < until) draw(pending.shift());
      if (pending.length) setTimeout(goOn, 0);
      else finish();
    };
    const finish = () => {
      mark();
      root.dataset.ready = "true";
      root.dataset.drawnAfter = String(Math.round(performance.now()));
    };
    if (isNow) finish(); else setTimeout(goOn, 0);
  };

  // ── filters ──
  const from = document.getElementById("from");
  const to = document.getElementById("to");
  const presets = [...document.querySelectorAll("[data-days]")];
  const boxes = [];
  const showSelection = () => {
    const [first, last] = [selection.from, selection.to].map((day) => (data.firstDay ? figures.isoDay(day, data.firstDay) : ""));
    [from.value, to.value] = [first, last];
    for (const button of presets) {
      const days = Number(button.dataset.days);
      const start = days ? Math.max(lastDay - days + 1, 0) : 0;
      const fits = days ? days <= lastDay : true;
      button.hidden = !fits;
      button.setAttribute("aria-pressed", String(fits && selection.to === lastDay && selection.from === start));
    }
    const names = selection.projects ? [...selection.projects].map((place) => data.projects[place].name) : [];
    const choice = !selection.projects ? "All projects" : names.length === 1 ? names[0] : `${names.length} projects`;
    document.getElementById("project-choice").textContent = choice;
    document.getElementById("selection").textContent = data.firstDay ? `Shown: ${first} to ${last}, ${choice.toLowerCase()}` : "No data yet";
    for (const box of boxes) box.checked = !selection.projects || selection.projects.has(Number(box.value));
  };
  const select = (change) => {
    Object.assign(selection, change);
    showSelection();
    drawAll();
  };
  for (const button of presets) {
    button.onclick = () => {
      const days = Number(button.dataset.days);
      select({ from: days ? Math.max(lastDay - days + 1, 0) : 0, to: lastDay });
    };
  }
  const takeDates = () => {
    if (!data.firstDay || !from.value || !to.value) return;
    const clamp = (value) => Math.min(Math.max(figures.dayNumber(value, data.firstDay), 0), lastDay);
    const [one, other] = [clamp(from.value), clamp(to.value)];
    select({ from: Math.min(one, other), to: Math.max(one, other) });
  };
  for (const input of [from, to]) {
    input.onchange = takeDates;
    if (data.firstDay) [input.min, input.max] = [data.firstDay, data.lastDay];
  }
  const options = document.getElementById("projects");
  const all = make("button", { type: "button", textContent: "All projects" });
  all.onclick = () => select({ projects: null });
  options.append(all, ...data.projects.map((project, place) => {
    const box = make("input", { type: "checkbox", value: String(place) });
    box.onchange = () => {
      // From all to one: the first click means "only this".
      const chosen = selection.projects ? new Set(selection.projects) : new Set(data.projects.map((_, index) => index));
      if (!selection.projects) chosen.clear(), chosen.add(place);
      else if (box.checked) chosen.add(place);
      else chosen.delete(place);
      select({ projects: chosen.size === 0 || chosen.size === data.projects.length ? null : chosen });
    };
    boxes.push(box);
    return make("label", { title: project.id }, box, project.name);
  }));
  document.getElementById("filters").onsubmit = (event) => event.preventDefault();
  const menu = document.getElementById("project-menu");
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") menu.open = false; });

  // ── theme, size, print, place ──
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    try {
      if (value) localStorage.setItem("theme", value);
      return localStorage.getItem("theme");
    } catch { return null; }
  };
  let theme = remembered() || (dark.matches ? "dark" : "light");
  const wear = (worn, isNow) => {
    root.dataset.theme = worn;
    colourOf = charts.colours(data);
    drawAll(isNow);
  };
  document.getElementById("theme").onclick = () => {
    theme = remembered(theme === "dark" ? "light" : "dark") || (theme === "dark" ? "light" : "dark");
    wear(theme);
  };
  dark.addEventListener("change", (event) => { if (!remembered()) wear((theme = event.matches ? "dark" : "light")); });
  // On paper the page has a width of its own, and charts are drawn for that.
  addEventListener("beforeprint", () => { root.classList.add("printing"); wear("light", true); });
  addEventListener("afterprint", () => { root.classList.remove("printing"); wear(theme); });
  let width = innerWidth;
  let timer;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(() => drawAll(), 120);
  });
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  const sections = [...document.querySelectorAll("main section")];
  const mark = () => {
    const current = sections.filter((section) => section.getBoundingClientRect().top < 160).pop() || sections[0];
    for (const [id, link] of links) {
      if (current && id === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
  showSelection();
  wear(theme);
})();
