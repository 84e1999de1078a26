// The table: head with sort buttons, groups, rows in pages, details below a row.
const PAGE_ROWS = 50;

function cellText(column, row) {
  const [first, second, third, fourth] = column.fields.map((name) => field(name, row));
  if (column.kind === "rank") return [data.rank[row], ""];
  if (column.id === "regularizer") return [regularizerOf(row), ""];
  if (column.id === "board") return [tableOf(row).label, ""];
  if (column.kind === "text") return [first, ""];
  if (column.kind === "gain") {
    if (data.label[row] === tableOf(row).reference) return ["reference", ""];
    return interval(first, second, third, fourth) ?? [null, ""];
  }
  if (first === null) return [null, ""];
  const number = fixed(first * column.factor, column.decimals);
  // A mean of fewer seeds than the row has is not printed, as in LEADERBOARD.md.
  if (column.kind === "spread" && third !== field("n", row)) return [null, ""];
  return [number, column.kind === "spread" && second !== null ? ` \u00b1 ${fixed(second, column.decimals)}` : ""];
}

const isNumber = (column) => ["number", "spread", "gain"].includes(column.kind);

function renderTable(rows, columns) {
  const table = byId("table");
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
  const page = Math.min(Math.max(Number(state.page) || 0, 0), pages - 1);
  const shown = rows.slice(page * PAGE_ROWS, (page + 1) * PAGE_ROWS);
  table.replaceChildren(tableHead(columns), ...tableBodies(shown, rows, columns));
  byId("pages").hidden = pages === 1;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page === pages - 1;
  byId("page-text").textContent = `Page ${page + 1} of ${pages}`;
  byId("previous").onclick = () => change({ page: String(page - 1 || "") });
  byId("next").onclick = () => change({ page: String(page + 1) });
}

function tableHead(columns) {
  const key = sortKey();
  const line = element("tr", { role: "row" });
  for (const column of columns) {
    const sorted = key && key.column === column;
    const direction = sorted ? (key.descending ? "descending" : "ascending") : null;
    const mark = sorted ? (key.descending ? " \u25be" : " \u25b4") : "";
    const button = element("button", { type: "button", "data-column": column.id }, column.title + mark);
    button.onclick = () => change({ sort: nextSort(column), page: "" });
    const attributes = { scope: "col", role: "columnheader", "aria-sort": direction, class: isNumber(column) ? "number" : null };
    line.append(element("th", attributes, button));
  }
  return element("thead", { role: "rowgroup" }, line);
}

// First the better end, then the other, then the order of the board.
function nextSort(column) {
  const better = column.better > 0 ? "-" + column.id : column.id;
  const worse = column.better > 0 ? column.id : "-" + column.id;
  if (state.sort === better) return worse;
  return state.sort === worse ? "" : better;
}

function tableBodies(shown, rows, columns) {
  if (!rows.length) {
    const text = numRows ? "No row fits these filters." : "No cell has been run yet.";
    return [element("tbody", { role: "rowgroup" }, element("tr", { role: "row" }, element("td", { role: "cell", colspan: columns.length }, text)))];
  }
  const group = groupOf();
  const bodies = [];
  let last = null;
  for (const row of shown) {
    const name = group(row);
    if (name !== last) {
      bodies.push(element("tbody", { role: "rowgroup" }, groupLine(name, row, rows.filter((other) => group(other) === name).length, columns)));
      last = name;
    }
    bodies[bodies.length - 1].append(rowLine(row, columns));
    if (addressOf(row) === state.row) bodies[bodies.length - 1].append(detailsLine(row, columns));
  }
  return bodies;
}

function groupLine(name, row, count, columns) {
  const title = state.view === "board" ? tableOf(row).title : name;
  const rows = count === 1 ? "1 row" : `${count} rows`;
  const head = element("th", { scope: "rowgroup", role: "rowheader", colspan: columns.length }, `${title} \u00b7 ${rows}`);
  return element("tr", { class: "group", role: "row" }, head);
}

function rowLine(row, columns) {
  const line = element("tr", { class: data.best[row] ? "row best" : "row", role: "row", "data-row": data.label[row] });
  const heading = columns.find((column) => column.id === "method") ?? columns[0];
  for (const column of columns) line.append(column === heading ? rowHeading(column, row) : rowCell(column, row));
  return line;
}

function rowCell(column, row) {
  const [text, rest] = cellText(column, row);
  const attributes = { role: "cell", "data-label": column.title, class: isNumber(column) ? "number" : column.kind === "rank" ? "rank" : null };
  if (text === null || text === "") return element("td", attributes, element("span", { class: "missing" }, ABSENT));
  return element("td", attributes, element("span", {}, text, rest ? element("span", { class: "interval" }, rest) : ""));
}

function rowHeading(column, row) {
  const [text] = cellText(column, row);
  const open = addressOf(row) === state.row;
  const name = `Details of ${data.label[row]}`;
  const button = element("button", { type: "button", class: "toggle", "aria-expanded": String(open), title: name }, text || ABSENT);
  button.onclick = () => change({ row: open ? "" : addressOf(row) }) ?? focusRow(row);
  return element("th", { scope: "row", role: "rowheader", "data-label": column.title }, button);
}

// After the table is drawn anew, the focus stays on the button of the row.
function focusRow(row) {
  for (const line of byId("table").querySelectorAll("tr.row")) {
    if (line.dataset.row === data.label[row]) line.querySelector(".toggle")?.focus({ preventScroll: true });
  }
}
