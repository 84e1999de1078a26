// Numbers and texts as LEADERBOARD.md prints them.
const ABSENT = "\u2013";

// Rounds as Python does: a number exactly in the middle goes to the even neighbour, where toFixed goes up.
function fixed(value, decimals) {
  const text = value.toFixed(decimals);
  if (Math.abs(value) >= 1e15) return text;
  const exact = Math.abs(value).toFixed(decimals + 30);
  const tail = exact.slice(exact.indexOf(".") + 1 + decimals);
  if (!/^50*$/.test(tail)) return text;
  const step = 10 ** -decimals;
  const down = Math.abs(Number(text)) - (Math.abs(Number(text)) > Math.abs(value) ? step : 0);
  const even = Math.round(down / step) % 2 === 0 ? down : down + step;
  return (value < 0 && even !== 0 ? "-" : "") + even.toFixed(decimals);
}

function signed(value, decimals = 2) {
  const text = fixed(value, decimals);
  if (Number(text) === 0) return fixed(0, decimals);
  return value > 0 ? "+" + text : text;
}

function interval(mean, low, high, n) {
  if (mean === null) return null;
  return low === null ? [signed(mean), ` (n = ${n})`] : [signed(mean), ` [${signed(low)}, ${signed(high)}]`];
}

// An element with attributes and children; tags in a child that is a text are not read as tags.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const byId = (id) => document.getElementById(id);
