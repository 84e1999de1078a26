// Draws the page from its state, at the start and after each change.
function render() {
  const rows = shownRows();
  const columns = shownColumns(rows);
  showControls(rows, columns);
  renderTable(rows, columns);
  renderAbout();
  renderFigures();
}

// Setting, notes and statements over methods of one board, below its table.
function renderAbout() {
  const about = byId("about");
  const table = data.tables.find((found) => found.label === state.board) ?? (data.tables.length === 1 ? data.tables[0] : null);
  if (!table) return about.replaceChildren();
  const notes = element("ul", {}, ...table.notes.map((note) => element("li", {}, note)));
  const parts = [element("h3", {}, table.title), element("p", {}, table.setting), notes];
  if (table.statements.length) parts.push(element("h4", {}, "Over methods"), statementTable(table.statements));
  about.replaceChildren(element("article", { class: "card" }, ...parts));
}

function statementTable(statements) {
  const names = ["comparison", "question", "gain", "seeds", "p after Holm", "says", "methods"];
  const head = element("tr", { role: "row" }, ...names.map((name) => element("th", { scope: "col", role: "columnheader" }, name)));
  const lines = statements.map((cells) =>
    element("tr", { role: "row" }, ...cells.map((cell, index) => element(index ? "td" : "th", { role: index ? "cell" : "rowheader", scope: index ? null : "row", "data-label": names[index] }, element("span", {}, cell)))),
  );
  const table = element("table", { class: "cards", role: "table", "aria-label": "Comparisons over methods" }, element("thead", { role: "rowgroup" }, head), element("tbody", { role: "rowgroup" }, ...lines));
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Comparisons over methods" }, table);
}

// Goes to the page of the table that holds a row.
function showRowPage(row) {
  const place = shownRows().indexOf(row);
  const page = Math.floor(place / PAGE_ROWS);
  if (place >= 0 && page !== (Number(state.page) || 0)) change({ page: String(page || "") }, true);
  byId("table").querySelector("tr.details")?.previousElementSibling?.scrollIntoView({ block: "start" });
  focusRow(row);
}

function restore() {
  state = readHash();
  render();
}

fillControls();
listen();
state = readHash();
render();
if (state.row) showRowPage(ALL.find((row) => addressOf(row) === state.row) ?? -1);
document.documentElement.dataset.ready = "true";
performance.mark("interactive");
