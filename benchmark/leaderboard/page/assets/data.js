// A block of base64 and gzip, as text. It is unpacked once.
const unpackedBlocks = new Map();
function unpacked(id) {
  if (!unpackedBlocks.has(id)) unpackedBlocks.set(id, present(id).then((block) => unpack(block.textContent)));
  return unpackedBlocks.get(id);
}

// The large blocks are at the end of the file: the table is shown before they are read.
function present(id) {
  const last = id !== "table-data" && document.readyState === "loading";
  return new Promise((found) => {
    if (last) addEventListener("DOMContentLoaded", () => found(byId(id)));
    else found(byId(id));
  });
}

async function unpack(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// The data of the page: records of leaderboard.csv by field.
const data = JSON.parse(await unpacked("table-data"));
const numRows = data.label.length;
const columnById = new Map(data.columns.map((column) => [column.id, column]));

// The value of a field of a row; null without a value.
function field(name, row) {
  const found = data.fields[name];
  if (found === undefined) return null;
  if (found.numbers) return found.numbers[row];
  return found.texts[found.index[row]];
}

const tableOf = (row) => data.tables[data.table[row]];
const methodOf = (row) => field("method", row);
const regularizerOf = (row) => data.regularizer.texts[data.regularizer.index[row]];
const addressOf = (row) => `${tableOf(row).label} / ${data.label[row]}`;

function unique(values) {
  return [...new Set(values)];
}

const ALL = Array.from({ length: numRows }, (_, row) => row);
const methods = unique(ALL.map(methodOf));
const regularizers = data.regularizer.texts;

// The text of each row that is searched; made at the first search.
let haystacks = null;
function haystack(row) {
  haystacks ??= ALL.map((index) => {
    const parts = [methodOf(index), regularizerOf(index), tableOf(index).label, tableOf(index).title];
    for (const name of ["recipe", "data", "backbone", "tasks", "commits", "seeds"]) parts.push(field(name, index) ?? "");
    return parts.join(" ").toLowerCase();
  });
  return haystacks[row];
}

let parsedDetails = null;
async function details() {
  parsedDetails ??= JSON.parse(await unpacked("details-data"));
  return parsedDetails;
}
