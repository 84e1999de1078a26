// The rows of the view as CSV: the fields of leaderboard.csv that its columns are made of, not rounded.
const NAMES = ["board", "version", "recipe", "method", "regularizer", "options"];

function csvValue(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  // A spreadsheet would run a text that begins with one of these as a formula.
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
  return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function csvText(rows, columns) {
  const names = unique([...NAMES, ...columns.flatMap((column) => column.fields)]);
  const lines = [names, ...rows.map((row) => names.map((name) => field(name, row)))];
  return lines.map((line) => line.map(csvValue).join(",") + "\n").join("");
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
