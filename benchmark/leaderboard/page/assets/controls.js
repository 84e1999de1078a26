// Menus, search, column chooser, colours.
function fill(select, values, first) {
  select.replaceChildren(...(first ? [element("option", { value: "" }, first)] : []), ...values.map((value) => element("option", { value }, value)));
}

function fillControls() {
  fill(byId("board"), data.tables.map((table) => table.label), "all boards and runs");
  fill(byId("method"), methods, "all methods");
  fill(byId("regularizer"), regularizers, "all regularizers");
  const orders = data.columns.flatMap((column) => [
    element("option", { value: column.id }, `${column.title}: ${column.kind === "text" ? "A to Z" : "lowest first"}`),
    element("option", { value: "-" + column.id }, `${column.title}: ${column.kind === "text" ? "Z to A" : "highest first"}`),
  ]);
  byId("sort").replaceChildren(element("option", { value: "" }, "order of the board"), ...orders);
  const withResults = data.tables.filter((table) => table.ranking.length);
  fill(byId("figures-of"), [...withResults, ...data.tables.filter((table) => !table.ranking.length)].map((table) => table.label));
  fillChooser();
}

function fillChooser() {
  const titles = { row: "Row", metrics: "Metrics: mean \u00b1 deviation over seeds", gain: "Gain", cost: "Cost", origin: "Origin" };
  const groups = Object.entries(titles).map(([group, title]) => {
    const boxes = data.columns.filter((column) => column.group === group).map((column) => {
      const box = element("input", { type: "checkbox", value: column.id });
      box.onchange = () => change({ columns: chosen() }, true);
      return element("label", {}, box, column.title);
    });
    return boxes.length ? element("fieldset", {}, element("legend", {}, title), ...boxes) : "";
  });
  byId("columns").replaceChildren(...groups.filter(Boolean));
}

// A name of a column may hold a comma, so names are encoded.
function chosen() {
  const boxes = [...byId("columns").querySelectorAll("input:checked")];
  return boxes.map((box) => encodeURIComponent(box.value)).join(",");
}

function listen() {
  byId("controls").onsubmit = (event) => event.preventDefault();
  for (const id of ["view", "board", "method", "regularizer", "sort"]) {
    byId(id).onchange = () => change({ [id]: byId(id).value, page: "" });
  }
  byId("search").oninput = () => change({ q: byId("search").value, page: "" }, true);
  byId("figures-of").onchange = () => change({ figures: byId("figures-of").value }, true);
  byId("reset").onclick = () => change({ ...EMPTY });
  byId("csv").onclick = () => {
    const rows = shownRows();
    download("leaderboard-view.csv", csvText(rows, shownColumns(rows)));
  };
  addEventListener("popstate", restore);
  listenToTheme();
}

function listenToTheme() {
  const theme = byId("theme");
  try {
    theme.value = localStorage.getItem("leaderboard-theme") ?? "";
  } catch {
    // A browser may forbid storage to a local file.
  }
  const apply = () => {
    document.documentElement.dataset.theme = theme.value;
    try {
      localStorage.setItem("leaderboard-theme", theme.value);
    } catch {
      // The choice holds until the page is closed.
    }
    redrawFigures();
  };
  theme.onchange = apply;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawFigures);
  document.documentElement.dataset.theme = theme.value;
}

function showControls(rows, columns) {
  for (const id of ["view", "board", "method", "regularizer", "sort"]) byId(id).value = state[id];
  if (byId("search").value !== state.q) byId("search").value = state.q;
  const ids = new Set(columns.map((column) => column.id));
  for (const box of byId("columns").querySelectorAll("input")) box.checked = ids.has(box.value);
  const count = rows.length === numRows ? `${numRows} ${numRows === 1 ? "row" : "rows"}` : `${rows.length} of ${numRows} rows`;
  if (byId("count").textContent !== count) byId("count").textContent = count;
  byId("csv").textContent = `Download ${rows.length === 1 ? "this row" : `these ${rows.length} rows`} as CSV`;
  const figures = state.figures || state.board;
  if (figures) byId("figures-of").value = figures;
  else byId("figures-of").selectedIndex = 0;
}
