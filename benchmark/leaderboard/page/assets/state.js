// The view as the hash of the address: #view=method&board=...&q=...&sort=-gain&columns=rank,method&row=...
const EMPTY = { view: "board", board: "", method: "", regularizer: "", q: "", sort: "", columns: "", page: "", row: "", figures: "" };
let state = { ...EMPTY };

function readHash() {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return text === "" ? { ...EMPTY } : state;
  const found = new URLSearchParams(text);
  const next = { ...EMPTY };
  for (const key of Object.keys(EMPTY)) if (found.has(key)) next[key] = found.get(key);
  if (!["board", "method", "regularizer"].includes(next.view)) next.view = EMPTY.view;
  return next;
}

function hashOf(view) {
  const changed = Object.entries(view).filter(([key, value]) => value !== EMPTY[key]);
  return changed.length ? "#" + new URLSearchParams(changed).toString() : "";
}

// Changes the view and its address. `keep` replaces the address, so that typing leaves one step in the history.
function change(parts, keep = false) {
  state = { ...state, ...parts };
  const address = hashOf(state) || location.pathname + location.search;
  try {
    history[keep ? "replaceState" : "pushState"](null, "", address);
  } catch {
    location.hash = hashOf(state);
  }
  render();
}

function sortKey() {
  const descending = state.sort.startsWith("-");
  const column = columnById.get(descending ? state.sort.slice(1) : state.sort);
  return column ? { column, descending } : null;
}

// The rows of the view, in its order.
function shownRows() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = ALL.filter(
    (row) =>
      (!state.board || tableOf(row).label === state.board) &&
      (!state.method || methodOf(row) === state.method) &&
      (!state.regularizer || regularizerOf(row) === state.regularizer) &&
      words.every((word) => haystack(row).includes(word)),
  );
  const group = groupOf();
  const order = new Map(unique(rows.map(group)).map((name, index) => [name, index]));
  const places = new Map(rows.map((row) => [row, order.get(group(row))]));
  const key = sortKey();
  const compare = key ? comparison(key) : () => 0;
  return rows.sort((a, b) => places.get(a) - places.get(b) || compare(a, b) || a - b);
}

function groupOf() {
  if (state.view === "method") return methodOf;
  return state.view === "regularizer" ? regularizerOf : (row) => tableOf(row).label;
}

function comparison({ column, descending }) {
  const value = (row) => field(column.fields[0], row);
  const text = column.kind === "text";
  return (a, b) => {
    const [left, right] = [value(a), value(b)];
    const [noLeft, noRight] = [left === null || left === "", right === null || right === ""];
    // A row without the value comes last in both directions.
    if (noLeft || noRight) return noLeft - noRight;
    const sign = text ? left.localeCompare(right, "en") : left - right;
    return descending ? -sign : sign;
  };
}

// The columns that the address names; unknown ones are left out.
function chosenColumns() {
  try {
    return state.columns.split(",").map((id) => columnById.get(decodeURIComponent(id))).filter(Boolean);
  } catch {
    return [];
  }
}

// The chosen columns; without a choice the first metrics of the shown tables.
function shownColumns(rows) {
  const chosen = chosenColumns();
  if (chosen.length) return chosen;
  const tables = unique(rows.map((row) => data.table[row]));
  const metrics = unique(tables.flatMap((index) => data.tables[index].ranking)).slice(0, 4);
  const several = state.view !== "board" && tables.length > 1 ? ["board"] : [];
  return ["rank", "method", "regularizer", ...several, ...metrics, "gain"].map((id) => columnById.get(id)).filter(Boolean);
}
