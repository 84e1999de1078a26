// Details below a row: seeds, comparisons, origin, and the training curves.
function detailsLine(row, columns) {
  const box = element("div", { class: "box" }, "\u2026");
  const line = element("tr", { class: "details", role: "row" }, element("td", { role: "cell", colspan: columns.length }, box));
  details().then((all) => box.replaceChildren(...detailParts(row, all)));
  return line;
}

function detailParts(row, all) {
  const own = all.rows[row];
  const table = tableOf(row);
  const parts = [element("p", {}, `${data.label[row]} \u00b7 ${table.setting}`)];
  if (!own.cells.length) return [...parts, element("p", {}, `No result yet: ${data.rank[row]}.`)];
  parts.push(titled("Every seed", seedList(own)));
  if (own.comparisons.length) parts.push(titled("Compared with other rows", comparisonList(own, all)));
  if (own.cells.some((cell) => cell.curves)) parts.push(titled("Training curves", curveBox(own)));
  if (own.diagnostics.length) parts.push(titled("Logged by the regularizer", seedRows(own, own.diagnostics, () => null)));
  parts.push(titled("Origin", originList(own, all)));
  if (table.notes.length) parts.push(titled("Notes on the data and the board", element("ul", {}, ...table.notes.map((note) => element("li", {}, note)))));
  return parts;
}

function titled(title, ...content) {
  return element("section", { "aria-label": title }, element("h3", {}, title), ...content);
}

function seedList(own) {
  return seedRows(own, own.values, (key) => columnById.get(key));
}

function seedRows(own, lines, columnOf) {
  const list = element("dl");
  for (const [key, ...values] of lines) {
    const column = columnOf(key);
    const chips = values.map((value, index) =>
      element("span", {}, element("small", {}, `seed ${own.cells[index].seed} `), value === null ? ABSENT : column ? fixed(value, column.decimals) : String(value)),
    );
    list.append(element("dt", {}, column ? column.title : key), element("dd", { class: "chips" }, ...chips));
  }
  return list;
}

function comparisonList(own, all) {
  const list = element("dl");
  for (const [baseline, task, mean, low, high, n, p, verdict] of own.comparisons) {
    const word = verdict ? element("span", { class: verdict }, ` a ${verdict}`) : "";
    const after = p === ABSENT ? "" : `, p after Holm ${p}`;
    const size = low === null ? "" : `, n = ${n}`;
    list.append(
      element("dt", {}, `over ${all.texts[baseline]}: ${all.texts[task]}`),
      element("dd", {}, `${interval(mean, low, high, n).join("")} %${size}${after}`, word),
    );
  }
  return list;
}

function originList(own, all) {
  const list = element("dl");
  for (const cell of own.cells) {
    const link = element("a", { href: cell.path.split("/").map(encodeURIComponent).join("/") }, cell.path);
    const commit = `commit ${cell.commit.slice(0, 12)}${cell.dirty ? " with uncommitted changes" : ""}, finished ${cell.finished}. To run it again:`;
    const recorded = element("details", {}, element("summary", {}, "Recorded command"), element("code", { class: "command" }, all.texts[cell.command]));
    const parts = [link, element("br"), commit, element("code", { class: "command" }, cell.reproduce), recorded];
    list.append(element("dt", {}, `seed ${cell.seed}`), element("dd", {}, ...parts));
  }
  for (const name of ["hardware", "versions"]) {
    const texts = unique(own.cells.map((cell) => all.texts[cell[name]]));
    list.append(element("dt", {}, name), element("dd", {}, ...texts.map((text) => element("div", {}, text))));
  }
  return list;
}

// One curve per seed of the chosen loss.
function curveBox(own) {
  const cells = own.cells.filter((cell) => cell.curves);
  const names = unique(cells.flatMap((cell) => Object.keys(cell.curves))).filter((name) => name !== "step");
  const choice = element("select", {}, ...names.map((name) => element("option", { value: name }, name)));
  const plot = element("div", { class: "plot", role: "img", "aria-label": "Training curves of the chosen loss, one line per seed" });
  const show = () => draw(plot, curveFigure(cells, choice.value));
  choice.onchange = show;
  show();
  return element("div", {}, element("label", {}, "Loss ", choice), plot, element("p", { class: "muted" }, "Each point is the mean over the steps since the point before."));
}

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
function curveFigure(cells, name) {
  const lines = cells.map((cell, index) => ({
    type: "scatter",
    mode: "lines",
    name: `seed ${cell.seed}`,
    x: cell.curves.step,
    y: cell.curves[name] ?? [],
    line: { color: index % 2 ? "@loss" : "@gain", width: 1.5, dash: DASHES[Math.floor(index / 2) % DASHES.length] },
    hovertemplate: "step %{x}: %{y}<extra>%{fullData.name}</extra>",
  }));
  const axis = { gridcolor: "@line", zerolinecolor: "@line", automargin: true };
  return {
    data: lines,
    layout: {
      height: 260, showlegend: true, legend: { orientation: "h", y: 1.15 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: "@text", size: 12 }, margin: { l: 10, r: 10, t: 10, b: 40 },
      xaxis: { ...axis, title: { text: "training step" } }, yaxis: axis,
      hoverlabel: { bgcolor: "@raised", bordercolor: "@line", font: { color: "@text" } },
    },
  };
}
