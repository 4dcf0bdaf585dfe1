// Pure arithmetic on the packed rows: nothing here knows the page.
"use strict";
const figures = (() => {
  const DAY_MS = 86400000;
  const isoDay = (number, first) => new Date(Date.parse(first) + number * DAY_MS).toISOString().slice(0, 10);
  const dayNumber = (iso, first) => Math.round((Date.parse(iso) - Date.parse(first)) / DAY_MS);

  // The first day of the step that a day lies in.
  const stepOf = (iso, grain) => {
    if (grain === "month") return iso.slice(0, 8) + "01";
    if (grain === "week") {
      const day = new Date(iso);
      return new Date(day - ((day.getUTCDay() + 6) % 7) * DAY_MS).toISOString().slice(0, 10);
    }
    return iso;
  };
  const grainFor = (question, days) => question.grain || (days <= 62 ? "day" : days <= 430 ? "week" : "month");

  // Every step from one day to another, without gaps.
  const steps = (from, to, first, grain) => {
    const found = [];
    for (let day = from; day <= to; day++) {
      const step = stepOf(isoDay(day, first), grain);
      if (found[found.length - 1] !== step) found.push(step);
    }
    return found;
  };

  // What must be kept of a question's rows: sums of amounts, and every value whose quantile is asked.
  const AMOUNTS = new Set(["usd", "tokens", "hours", "milliseconds", "lines", "count"]);
  const planOf = (question) => ({
    sums: Object.keys(question.kinds).filter((name) => AMOUNTS.has(question.kinds[name])),
    spreads: new Map(question.measures.filter((each) => each.quantile).map((each) => [each.of, each.weight])),
  });
  const addRow = (group, plan, rows, index) => {
    for (const name of plan.sums) group.sums[name] = (group.sums[name] || 0) + rows[name][index];
    for (const [name, weight] of plan.spreads) {
      const spread = (group.spreads[name] ||= new Map());
      const value = rows[name][index];
      spread.set(value, (spread.get(value) || 0) + rows[weight][index]);
    }
  };
  const quantile = (spread, share) => {
    if (!spread || !spread.size) return null;
    const values = [...spread.keys()].sort((a, b) => a - b);
    let total = 0;
    for (const weight of spread.values()) total += weight;
    let below = 0;
    for (const value of values) {
      below += spread.get(value);
      if (below >= share * total) return value;
    }
    return null;
  };
  // A figure of a group; null where there is nothing to divide by.
  const value = (group, measure) => {
    if (!group) return measure.per || measure.quantile ? null : 0;
    if (measure.quantile) return quantile(group.spreads[measure.of], measure.quantile);
    const sum = group.sums[measure.of] || 0;
    if (!measure.per) return sum;
    const divisor = group.sums[measure.per] || 0;
    return divisor ? sum / divisor : null;
  };

  // A column as small numbers, and what each stands for: rows are many, names are few.
  const indexOf = (data, question, name, grain) => {
    if (name === "project") return { at: question.rows.project, names: (place) => data.projects[place].name };
    if (name !== "day") return { at: question.rows[name].at, names: (place) => question.rows[name].values[place] };
    const lastDay = dayNumber(data.lastDay, data.firstDay);
    const stepOfDay = [];
    const found = [];
    for (let day = 0; day <= lastDay; day++) {
      const step = stepOf(isoDay(day, data.firstDay), grain);
      if (found[found.length - 1] !== step) found.push(step);
      stepOfDay.push(found.length - 1);
    }
    return { at: question.rows.day.map((day) => stepOfDay[day]), names: (place) => found[place] };
  };

  // Groups of the rows that the selection lets through, by the given columns.
  const WIDEST = 1 << 20;
  const grouped = (data, question, selection, columns, grain) => {
    const groups = new Map();
    const plan = planOf(question);
    const { rows } = question;
    const { day, project } = rows;
    if (!day.length) return [];
    const indexes = columns.map((name) => indexOf(data, question, name, grain));
    const [first, second] = indexes.map((each) => each.at);
    for (let index = 0; index < day.length; index++) {
      if (day[index] < selection.from || day[index] > selection.to) continue;
      if (selection.projects && !selection.projects.has(project[index])) continue;
      const key = second ? first[index] * WIDEST + second[index] : first[index];
      let entry = groups.get(key);
      if (!entry) {
        const places = second ? [first[index], second[index]] : [first[index]];
        const keys = places.map((place, column) => indexes[column].names(place));
        groups.set(key, (entry = { keys, group: { sums: Object.create(null), spreads: Object.create(null) } }));
      }
      addRow(entry.group, plan, rows, index);
    }
    return [...groups.values()];
  };

  return { isoDay, dayNumber, stepOf, grainFor, steps, grouped, value };
})();

// Numbers as people read them.
const shown = (() => {
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const tokens = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const cents = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
  const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumFractionDigits: 0 });
  const share = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
  const hours = (value) => {
    const minutes = Math.round(value * 60);
    if (minutes < 1) return value > 0 ? "< 1 min" : "0 min";
    if (minutes < 60) return `${minutes} min`;
    return minutes < 6000 ? `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min` : `${whole.format(value)} h`;
  };
  const milliseconds = (value) => {
    if (value < 1000) return `${whole.format(value)} ms`;
    if (value < 60000) return `${plain.format(value / 1000)} s`;
    if (value < 3600000) return `${plain.format(value / 60000)} min`;
    return `${plain.format(value / 3600000)} h`;
  };
  const full = (value, unit) => {
    if (value === null || value === undefined) return "–";
    switch (unit) {
      case "usd": return (Math.abs(value) >= 10000 ? dollars : cents).format(value);
      case "tokens": return tokens.format(value);
      case "hours": return hours(value);
      case "milliseconds": return milliseconds(value);
      case "share": return share.format(value);
      case "number": return plain.format(value);
      default: return whole.format(value);
    }
  };
  const axis = (value, unit, most) => {
    switch (unit) {
      case "usd": return value && Math.abs(value) < 1 ? cents.format(value) : "$" + compact.format(value);
      case "hours": return most <= 2 ? `${whole.format(value * 60)} min` : `${compact.format(value)} h`;
      case "milliseconds": return milliseconds(value);
      case "share": return share.format(value);
      default: return compact.format(value);
    }
  };
  // Made once: making a formatter takes longer than a thousand uses of it.
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  const month = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric", timeZone: "UTC" });
  const date = (iso, grain) => (grain === "month" ? month : day).format(new Date(iso));
  const WEEKDAYS = ["", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
  const key = (value, kind, grain) => {
    if (kind === "date") return (grain === "week" ? "Week of " : "") + date(value, grain);
    if (kind === "weekday") return WEEKDAYS[value] || String(value);
    if (kind === "hour") return `${String(value).padStart(2, "0")}:00`;
    return String(value);
  };
  // The end of a long path says most.
  // A chart calls a tool of an MCP server by server and tool.
  const brief = (whole, kind, length) => {
    const text = whole.replace(/^mcp__(.+?)__(.+)$/, "$1 · $2");
    if (text.length <= length) return text;
    return kind === "path" ? "…" + text.slice(1 - length) : text.slice(0, length - 1) + "…";
  };
  // A row of a table: addresses without their hosts, paths by their ends.
  const line = (text, kind) => kind === "path" ? brief(text, kind, innerWidth < 500 ? 40 : 60) : text.replace(/https?:\/\/[^/\s]+\//g, "");
  return { full, axis, date, key, brief, line };
})();
