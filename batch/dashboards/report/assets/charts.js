// From groups of figures to what a chart shows, and to the table behind it.
"use strict";
const charts = (() => {
  const MOST_SERIES = 7;
  const REST = "other";
  // Asking for styles is slow while the page is being changed: each is asked for once a theme.
  let styles = new Map();
  const css = (name) => {
    if (!styles.has(name)) styles.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
    return styles.get(name);
  };

  // One colour for each name, whatever is selected: projects share theirs in all charts.
  const colours = (data) => {
    styles = new Map();
    const known = new Map();
    return (question, name) => {
      const of = question.series === "project" ? "project" : question.title;
      if (!known.has(of)) {
        const names = of === "project" ? data.projects.map((each) => each.name) : question.rows[question.series].values
          .map((each, index) => [each, weightOf(question, index)]).sort((a, b) => b[1] - a[1]).map(([each]) => each);
        known.set(of, new Map(names.slice(0, MOST_SERIES).map((each, index) => [String(each), `--c${index}`])));
      }
      return css(known.get(of).get(String(name)) || "--rest");
    };
  };
  const weightOf = (question, place) => {
    const at = question.rows[question.series].at;
    const amounts = question.rows[question.measures[0].of];
    let sum = 0;
    for (let index = 0; index < at.length; index++) if (at[index] === place) sum += amounts[index];
    return sum;
  };

  // What a question says about a selection: names along `by`, and one list of values for each line or column.
  const answer = (data, question, selection, colourOf) => {
    const grain = figures.grainFor(question, selection.to - selection.from + 1);
    const isTime = question.by === "day";
    const isSplit = Boolean(question.series) && question.display !== "table";
    const columns = question.series ? [question.by, question.series] : [question.by];
    const entries = figures.grouped(data, question, selection, columns, grain);
    const first = question.measures[0];
    const found = new Map();
    for (const entry of entries) {
      const key = isSplit || !question.series ? entry.keys[0] : JSON.stringify(entry.keys);
      if (!found.has(key)) found.set(key, { key: entry.keys[0], keys: entry.keys, groups: new Map() });
      found.get(key).groups.set(isSplit ? entry.keys[1] : "", entry.group);
    }
    let rows;
    if (isTime) {
      rows = !data.firstDay ? [] : figures.steps(selection.from, selection.to, data.firstDay, grain)
        .map((key) => found.get(key) || { key, keys: [key], groups: new Map() });
    } else {
      rows = [...found.values()];
      const size = (row) => figures.value(row.groups.get(""), first) || 0;
      const extent = (row) => question.measures.filter((each) => each.isCharted)
        .reduce((sum, each) => sum + (figures.value(row.groups.get(""), each) || 0), 0);
      if (question.order.length) rows.sort((a, b) => question.order.indexOf(a.key) - question.order.indexOf(b.key));
      else if (question.kinds[question.by] === "moment") rows.sort((a, b) => String(b.key).localeCompare(String(a.key)));
      else if (question.kinds[question.by] === "hour") rows.sort((a, b) => a.key - b.key);
      else {
        const weigh = question.display === "bars" && question.isStacked ? extent : size;
        rows.sort((a, b) => weigh(b) - weigh(a) || String(a.key).localeCompare(String(b.key)));
      }
    }
    let series;
    if (isSplit) {
      const totals = new Map();
      for (const row of rows) for (const [name, group] of row.groups) {
        totals.set(name, (totals.get(name) || 0) + (figures.value(group, first) || 0));
      }
      const names = [...totals.keys()].filter((name) => totals.get(name)).sort((a, b) => totals.get(b) - totals.get(a));
      const isOwn = (name) => question.display === "heatmap" || names.length <= MOST_SERIES
        || colourOf(question, name) !== css("--rest");
      const rest = names.filter((name) => !isOwn(name));
      series = names.filter(isOwn).map((name) => ({
        name: String(name), key: name, unit: first.unit, measure: first, isCharted: true, colour: colourOf(question, name),
        values: rows.map((row) => figures.value(row.groups.get(name), first)),
      }));
      if (rest.length) series.push({
        name: REST, key: REST, unit: first.unit, measure: first, isCharted: true, colour: css("--rest"),
        values: rows.map((row) => rest.reduce((sum, name) => sum + (figures.value(row.groups.get(name), first) || 0), 0)),
      });
    } else {
      series = question.measures.map((measure, index) => ({
        name: measure.label, key: measure.label, unit: measure.unit, measure, isCharted: measure.isCharted,
        colour: css(measure.tone ? `--${measure.tone}` : `--c${index % MOST_SERIES}`),
        values: rows.map((row) => figures.value(row.groups.get(""), measure)),
      }));
    }
    return { question, grain, isTime, rows, series, isEmpty: entries.length === 0 };
  };

  const tip = (title, lines) => {
    const box = document.createElement("div");
    box.className = "tip";
    box.append(Object.assign(document.createElement("b"), { textContent: title }));
    for (const { colour, name, value } of lines) {
      const line = document.createElement("div");
      const label = document.createElement("span");
      const dot = document.createElement("i");
      dot.style.background = colour;
      label.append(dot, name);
      line.append(label, Object.assign(document.createElement("span"), { className: "value", textContent: value }));
      box.append(line);
    }
    return box;
  };

  const base = (result, width) => ({
    animation: false,
    aria: { enabled: true, label: { description: result.question.title } },
    textStyle: { fontFamily: css("--font"), color: css("--text") },
    grid: { left: 6, right: 14, top: 34, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: {
      trigger: "axis", confine: true, backgroundColor: css("--card"), borderColor: css("--line"), padding: [8, 11],
      textStyle: { color: css("--text"), fontSize: 12.5 }, axisPointer: { type: "shadow", shadowStyle: { color: css("--grid"), opacity: .5 } },
    },
    legend: {
      type: "plain", top: 0, left: 0, icon: "roundRect", itemWidth: LEGEND.icon, itemHeight: LEGEND.icon, itemGap: LEGEND.gap,
      textStyle: { color: css("--quiet"), fontSize: LEGEND.text, width: legendText(width), overflow: "truncate" },
      inactiveColor: css("--line"),
    },
  });
  // Steps that people count time in, in hours; a third of an hour is none of them.
  const HOUR_STEPS = [1 / 60, 2 / 60, 5 / 60, 10 / 60, 15 / 60, 30 / 60, 1, 2, 3, 4, 6, 8, 12, 24, 48, 120, 240, 480, 1200, 2400];
  const timeScale = (most) => {
    const interval = HOUR_STEPS.find((step) => most / step <= 5) || most / 5;
    return { interval, max: Math.max(Math.ceil(most / interval - 1e-9), 1) * interval };
  };
  const amountAxis = (unit, most, isHidden) => ({
    type: "value", splitNumber: 4, splitLine: { lineStyle: { color: css("--grid") } },
    axisLabel: { color: css("--quiet"), fontSize: 11.5, formatter: (value) => shown.axis(value, unit, most), show: !isHidden, hideOverlap: true },
    ...(["count", "lines", "tokens"].includes(unit) ? { minInterval: 1 } : {}),
    ...(unit === "hours" ? timeScale(most) : {}),
    ...(unit === "share" && most > .5 ? { max: 1, interval: .25 } : {}),
  });
  const mostOf = (rows, series, isStacked) => rows.reduce((most, _, index) => {
    const values = series.map((each) => each.values[index] || 0);
    return Math.max(most, isStacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(...values, 0));
  }, 0);
  const nameAxis = (names) => ({
    type: "category", data: names, axisTick: { show: false }, axisLine: { lineStyle: { color: css("--line") } },
    axisLabel: { color: css("--quiet"), fontSize: 11.5, hideOverlap: true },
  });
  // Height of a legend, laid out as ECharts does it, so that it never covers the chart; 0 if none is needed.
  const LEGEND = { icon: 10, iconGap: 5, gap: 14, text: 12, padding: 5 };
  const ruler = document.createElement("canvas").getContext("2d");
  const legendHeight = (series, width) => {
    if (series.length < 2) return 0;
    ruler.font = `${LEGEND.text}px ${css("--font")}`;
    let rows = 1;
    let used = 0;
    for (const { name } of series) {
      const wide = LEGEND.icon + LEGEND.iconGap + Math.min(ruler.measureText(name).width, legendText(width));
      if (used && used + wide > width - 2 * LEGEND.padding) { rows++; used = 0; }
      used += wide + LEGEND.gap;
    }
    return LEGEND.padding + rows * (LEGEND.text + LEGEND.gap);
  };
  const legendText = (width) => width / 2 - 40;

  const overTime = (result, width) => {
    const { question, rows, grain } = result;
    const series = result.series.filter((each) => each.isCharted);
    const isLine = question.display === "line";
    const option = base(result, width);
    option.legend.show = series.length > 1;
    option.grid.top = legendHeight(series, width) + (series.length > 1 ? 3 : 12);
    option.xAxis = { ...nameAxis(rows.map((row) => row.key)), boundaryGap: !isLine };
    option.xAxis.axisLabel.formatter = (key) => shown.date(key, grain);
    option.yAxis = amountAxis(series[0] ? series[0].unit : "count", mostOf(rows, series, !isLine && question.isStacked));
    if (isLine) option.tooltip.axisPointer = { type: "line", lineStyle: { color: css("--quiet"), type: "dotted" } };
    option.tooltip.formatter = (points) => tip(
      shown.key(points[0].axisValue, "date", grain),
      points.filter((point) => point.value || isLine).map((point) => ({
        colour: point.color, name: point.seriesName, value: shown.full(point.value === "-" ? null : point.value, series[point.seriesIndex].unit),
      })),
    );
    option.series = series.map((each) => isLine ? {
      type: "line", name: each.name, data: each.values.map((value) => (value === null ? "-" : value)), connectNulls: true,
      color: each.colour, lineStyle: { width: 2 }, symbol: "circle", symbolSize: rows.length > 60 ? 3 : 5.5, showAllSymbol: true,
      areaStyle: series.length === 1 ? { opacity: .1 } : undefined,
    } : {
      type: "bar", name: each.name, data: each.values, stack: question.isStacked ? "all" : undefined,
      color: each.colour, barMaxWidth: 34, barCategoryGap: "22%", itemStyle: { borderColor: css("--card"), borderWidth: rows.length > 45 ? 0 : .7 },
    });
    return option;
  };

  const bars = (result, width) => {
    const { question } = result;
    const kind = question.kinds[question.by];
    const rows = result.rows.slice(0, question.top);
    const series = result.series.filter((each) => each.isCharted);
    const option = base(result, width);
    const isStacked = question.isStacked && series.length > 1;
    const totals = rows.map((_, index) => series.reduce((sum, each) => sum + (each.values[index] || 0), 0));
    option.legend.show = series.length > 1;
    option.grid.top = legendHeight(series, width) || 6;
    option.grid.right = 74;
    option.xAxis = amountAxis(series[0].unit, mostOf(rows, series, isStacked), true);
    option.xAxis.splitLine.show = false;
    option.yAxis = { ...nameAxis(rows.map((row) => String(row.key))), inverse: true };
    option.yAxis.axisLabel = {
      color: css("--text"), fontSize: 12, interval: 0,
      formatter: (text) => shown.brief(text, kind, width < 420 ? 17 : 27),
    };
    option.yAxis.axisLine.show = false;
    option.tooltip.formatter = (points) => tip(points[0].axisValue, result.series.map((each) => ({
      colour: each.isCharted ? each.colour : "transparent", name: each.name, value: shown.full(each.values[points[0].dataIndex], each.unit),
    })));
    option.series = series.map((each, place) => ({
      type: "bar", name: each.name, data: each.values.slice(0, rows.length), color: each.colour,
      stack: isStacked ? "all" : undefined, barMaxWidth: isStacked || series.length === 1 ? 19 : 11, barGap: "12%",
      itemStyle: { borderRadius: isStacked ? 1 : 3 },
      label: {
        show: !isStacked || place === series.length - 1, position: "right", color: css("--quiet"), fontSize: 11.5,
        formatter: (point) => shown.full(isStacked ? totals[point.dataIndex] : point.value, each.unit),
      },
    }));
    return option;
  };

  const heatmap = (result, width) => {
    const { question } = result;
    const byHour = new Map(result.rows.map((row) => [row.key, row]));
    const hours = [...Array(24).keys()];
    const days = [1, 2, 3, 4, 5, 6, 7];
    const first = question.measures[0];
    const cells = [];
    let most = 0;
    for (const hour of hours) for (const day of days) {
      const row = byHour.get(hour);
      const value = row ? figures.value(row.groups.get(day), first) : 0;
      most = Math.max(most, value);
      cells.push([hour, day - 1, value]);
    }
    const option = base(result, width);
    option.legend.show = false;
    option.grid = { ...option.grid, top: 6, right: 6, bottom: 44 };
    option.xAxis = { ...nameAxis(hours.map(String)), splitArea: { show: false } };
    option.xAxis.axisLine.show = false;
    option.yAxis = { ...nameAxis(days.map((day) => shown.key(day, "weekday").slice(0, 3))), inverse: true };
    option.yAxis.axisLine.show = false;
    option.tooltip = { ...option.tooltip, trigger: "item" };
    option.tooltip.formatter = (point) => tip(
      `${shown.key(point.value[1] + 1, "weekday")}, ${shown.key(point.value[0], "hour")}`,
      [{ colour: point.color, name: first.label, value: shown.full(point.value[2], first.unit) }],
    );
    option.visualMap = {
      min: 0, max: most || 1, calculable: false, orient: "horizontal", left: "center", bottom: 0, itemWidth: 10, itemHeight: 130,
      text: [shown.full(most, first.unit), "0"], textStyle: { color: css("--quiet"), fontSize: 11.5 },
      inRange: { color: [0, 1, 2, 3].map((step) => css(`--heat-${step}`)) },
    };
    option.series = [{ type: "heatmap", data: cells, itemStyle: { borderColor: css("--card"), borderWidth: 2, borderRadius: 4 } }];
    return option;
  };

  const option = (result, width) => {
    if (result.question.display === "bars") return bars(result, width);
    if (result.question.display === "heatmap") return heatmap(result, width);
    return overTime(result, width);
  };

  // What makes a chart tall enough.
  const height = (result, width) => {
    const isPrinted = document.documentElement.classList.contains("printing");
    const series = result.series.filter((each) => each.isCharted);
    const legend = result.question.display === "heatmap" ? 0 : legendHeight(series, width);
    // What a legend takes beyond two rows is added.
    if (result.question.display !== "bars") {
      return isPrinted ? 180 : (width < 420 ? 250 : 270) + Math.max(legend - 57, 0);
    }
    const isSlim = result.question.isStacked || series.length === 1;
    const each = isPrinted ? (isSlim ? 19 : 26) : isSlim ? 27 : 34;
    return Math.max(Math.min(result.rows.length, result.question.top) * each + (legend || 6) + 8, 70);
  };

  return { answer, option, height, colours };
})();
