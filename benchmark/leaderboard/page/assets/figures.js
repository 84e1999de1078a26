// Figures: drawn by plotly when they come into view, with the colours of the page.
function plain(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

let plotly = null;
function loadPlotly() {
  plotly ??= unpacked("plotly-script").then((code) => {
    // The script is part of this file: nothing is fetched.
    document.head.append(element("script", {}, code));
    return window.Plotly;
  });
  return plotly;
}

function coloured(value) {
  if (typeof value === "string" && value.startsWith("@")) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + value.slice(1)).trim() || value;
  }
  if (Array.isArray(value)) return value.map(coloured);
  if (value === null || typeof value !== "object") return value;
  // Names and labels of rows are text that may begin with the same sign.
  const plain = ["customdata", "hovertext", "text", "ticktext"];
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, plain.includes(key) ? entry : coloured(entry)]));
}

const drawn = new Map();
async function draw(plot, figure) {
  drawn.set(plot, figure);
  const library = await loadPlotly();
  if (!plot.isConnected) return void drawn.delete(plot);
  const { data: traces, layout } = coloured(figure);
  // A finger that scrolls the page must not zoom a figure.
  const touch = matchMedia("(pointer: coarse)").matches;
  await library.react(plot, traces, { ...layout, dragmode: touch ? false : "zoom" }, { displayModeBar: false, responsive: true });
  plot.removeAllListeners?.("plotly_click");
  plot.on("plotly_click", (event) => openRow(event.points[0]?.customdata, plot.dataset.table));
}

function openRow(label, table) {
  const row = ALL.find((index) => data.label[index] === label && tableOf(index).label === table);
  if (row === undefined) return;
  const { board, method, regularizer, q } = state;
  const hidden = (board && board !== table) || (method && method !== methodOf(row)) || (regularizer && regularizer !== regularizerOf(row)) || q;
  change({ ...(hidden ? { board: table, method: "", regularizer: "", q: "" } : {}), row: addressOf(row) });
  showRowPage(row);
}

function redrawFigures() {
  for (const [plot, figure] of drawn) plot.isConnected ? draw(plot, figure) : drawn.delete(plot);
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      entry.target.dispatchEvent(new Event("seen"));
    }
  },
  { rootMargin: "200px" },
);

let shownFigures = null;
async function renderFigures() {
  const list = byId("figure-list");
  const label = byId("figures-of").value;
  if (shownFigures === label) return;
  shownFigures = label;
  // The block is unpacked when the section is near, not when the page opens.
  const wait = element("p", {}, "\u2026");
  wait.addEventListener("seen", async () => {
    const figures = JSON.parse(await unpacked("figures-data"))[label] ?? [];
    if (shownFigures !== label) return;
    const empty = element("p", {}, "No figure: the results of this table allow none yet, or the page has no room for its figures.");
    list.replaceChildren(...(figures.length ? [jumpList(figures), ...figures.map((figure, index) => figureBox(figure, label, index))] : [empty]));
  });
  list.replaceChildren(wait);
  watcher.observe(wait);
}

// Links to the figures; a closed figure opens.
function jumpList(figures) {
  const links = figures.map((figure) => {
    const link = element("a", { href: `#figure-${figure.key}` }, figure.title);
    link.onclick = () => byId(`figure-${figure.key}`).querySelector("details").setAttribute("open", "");
    return element("li", {}, link);
  });
  return element("ul", { class: "jump", "aria-label": "Figures" }, ...links);
}

// On a narrow page the figures after the first are closed, so that the page stays short.
function figureBox(figure, table, index) {
  const id = `figure-${figure.key}`;
  const open = index === 0 || matchMedia("(min-width: 48rem)").matches;
  const panels = element("div", { class: "panels", style: `--columns: ${figure.columns}` }, ...figure.panels.map((panel) => panelBox(panel, figure, table)));
  const texts = element("details", {}, element("summary", {}, "Data of this figure"));
  texts.addEventListener("toggle", () => texts.childElementCount > 1 || texts.append(figureData(figure)));
  const title = element("summary", {}, element("h3", { id: `${id}-title` }, figure.title));
  return element("figure", { id, "aria-labelledby": `${id}-title`, tabindex: "-1" }, element("details", { open }, title, panels, element("figcaption", {}, figure.caption), texts));
}

function panelBox(panel, figure, table) {
  const name = `${figure.title}: ${panel.title}. The data stand below the figure.`;
  const plot = element("div", { class: "plot", role: "img", "aria-label": name, "data-table": table, style: `height: ${panel.plotly.layout.height}px` });
  plot.addEventListener("seen", () => draw(plot, panel.plotly));
  watcher.observe(plot);
  return element("div", { class: "panel" }, element("h4", {}, panel.title), plot);
}

// The texts of the marks of a figure, as lists. Texts for plotly are escaped; `plain` undoes this.
function figureData(figure) {
  const parts = figure.panels.flatMap((panel) => {
    const texts = panel.plotly.data.flatMap((trace) => trace.hovertext ?? []);
    return [element("h4", {}, panel.title), element("ul", {}, ...texts.map((text) => element("li", {}, plain(text))))];
  });
  return element("div", { class: "data", tabindex: "0", role: "region", "aria-label": `Data of: ${figure.title}` }, ...parts);
}
