"use strict";

// Everything that comes from the server is shown as text, never as markup.
const $ = (id) => document.getElementById(id);
const STOPS = 48; // positions of the slider between the smallest and the image's own resolution
const WAIT = 120; // ms without a movement before the server is asked

let model = null;
let image = null; // { file, bitmap, native, answers: Map, sides: [] }
let asked = null; // the request that is under way
let timer = 0;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function percent(share) {
  return `${(100 * share).toFixed(share > 0.9995 ? 0 : 1)} %`;
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function fail(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}

async function start() {
  const response = await fetch("/api/model");
  model = await response.json();
  const levels = model.levels
    .map((l) => (l.native ? `${l.name}: from native` : `${l.name}: from ${l.resolution} px`));
  $("about").textContent =
    `Model ${model.name}. A node is named from a confidence of ${model.confidence} on. ` +
    `Trained at: ${model.levels.map((l) => `${l.name} ${l.native ? "native" : `${l.resolution} px`}`).join(", ")}.`;
  $("about").title = levels.join("; ");
  $("caution").textContent = model.warnings.map(sentence).join(" ");
  $("caution").hidden = !model.warnings.length;
}

async function take(file) {
  fail("");
  if (!file) return;
  if (file.size > model.limits.bytes) {
    fail(`The file has ${(file.size / 1e6).toFixed(1)} MB; ${model.limits.bytes / 1e6} MB are taken.`);
    return;
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    fail("That is not an image that this browser can show.");
    return;
  }
  const native = Math.min(bitmap.width, bitmap.height);
  const lowest = Math.min(8, native);
  const sides = new Set();
  for (let i = 0; i <= STOPS; i++) {
    sides.add(Math.round(lowest * Math.pow(native / lowest, i / STOPS)));
  }
  for (const level of model.levels) {
    if (!level.native && level.resolution < native) sides.add(level.resolution);
  }
  image = { file, bitmap, native, answers: new Map(), sides: [...sides].sort((a, b) => a - b) };
  $("side").max = image.sides.length - 1;
  $("side").value = image.sides.length - 1;
  $("shown").hidden = $("slide").hidden = false;
  marks();
  slide();
}

function marks() {
  const line = $("marks-line");
  line.replaceChildren();
  for (const level of model.levels) {
    const at = image.sides.indexOf(level.resolution);
    if (level.native || at < 0) continue;
    const mark = element("span", `${level.name} ${level.resolution}`);
    const place = at / (image.sides.length - 1);
    mark.style.left = `${100 * place}%`;
    if (place > 0.6) mark.className = "left";
    line.append(mark);
  }
}

function slide() {
  const side = image.sides[Number($("side").value)];
  $("pixels").textContent = `${side} px`;
  $("side").setAttribute("aria-valuetext", `${side} pixels`);
  draw(side);
  clearTimeout(timer);
  if (image.answers.has(side)) show(image.answers.get(side));
  else timer = setTimeout(() => ask(image, side), WAIT);
}

function draw(side) {
  const { bitmap, native } = image;
  const scale = side / native;
  const canvas = $("picture");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  canvas.style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
  $("caption").textContent =
    side < native
      ? `${canvas.width} x ${canvas.height} px, as the browser reduces it; c2f reduces it as in calibration.`
      : `${bitmap.width} x ${bitmap.height} px, as it is.`;
}

async function ask(mine, side) {
  if (asked) asked.abort();
  const mark = (asked = new AbortController());
  $("result").setAttribute("aria-busy", "true");
  const query = side < mine.native ? `?resolution=${side}` : "";
  try {
    const response = await fetch(`/api/predict${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: mine.file,
      signal: mark.signal,
    });
    const found = await response.json();
    if (!response.ok) throw new Error(`${found.error}. ${found.hint}`);
    mine.answers.set(side, found);
    if (mine === image && side === image.sides[Number($("side").value)]) show(found);
    fail("");
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
  } finally {
    if (asked === mark) $("result").setAttribute("aria-busy", "false");
  }
}

function show(found) {
  $("result").setAttribute("aria-busy", "false");
  $("answer").textContent = found.answer
    ? `${found.answer.name} (${found.answer.level}, ${percent(found.answer.confidence)})`
    : "No answer: not even the coarsest level is sure enough.";
  const path = $("path");
  path.replaceChildren();
  for (const level of model.levels) {
    const node = found.path.find((n) => n.level === level.name);
    const row = element("li", undefined, node ? "named" : "not");
    row.append(element("span", level.name, "level"));
    row.append(element("span", node ? node.name : "not told", "name"));
    if (node) row.append(" ", element("span", percent(node.confidence), "share"));
    path.append(row);
  }
  $("why").textContent = sentence(found.why);
  $("promise").textContent = sentence(found.guarantee ? `Answers are ${found.promise}` : found.promise);
  $("warnings").replaceChildren(...found.warnings.map((text) => element("li", text)));
  const tops = $("tops");
  tops.replaceChildren();
  for (const { level, top } of found.levels) {
    const table = element("table");
    table.append(element("caption", `Most probable: ${level}`));
    for (const node of top) {
      const row = element("tr");
      const name = element("th", node.name);
      name.scope = "row";
      const bar = element("td", undefined, "bar");
      const filled = element("div");
      filled.style.width = `${100 * node.confidence}%`;
      bar.append(filled);
      row.append(name, bar, element("td", percent(node.confidence), "share"));
      table.append(row);
    }
    tops.append(table);
  }
}

$("file").addEventListener("change", () => take($("file").files[0]));
$("side").addEventListener("input", slide);
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}
start().catch(() => fail("The server does not answer: is c2f serve still running?"));
