"use strict";
// The page of the interpreter. What a model, a program or a user wrote is only ever put into the
// page as text.

const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const PICTURE = /\.(png|jpe?g|gif|webp)$/i;
let session = "";
let busy = false;

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

async function call(method, path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const isFile = body instanceof Blob;
  headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  const sent = body === undefined ? undefined : isFile ? body : JSON.stringify(body);
  const answer = await fetch(`/api/${path}`, { method, headers, body: sent });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error ? said.error.message : `the server says ${answer.status}`);
  }
  return answer;
}

function complain(error) {
  $("error").hidden = !error;
  $("error").textContent = error ? error.message : "";
}

function working(on) {
  busy = on;
  $("stop").hidden = !on;
  $("send").disabled = on;
}

async function begin() {
  const known = await (await call("POST", "sessions", {})).json();
  session = `sessions/${known.id}`;
  $("model").textContent = known.model;
  $("talk").replaceChildren();
  showFiles([]);
}

// Words and fenced blocks of an answer, as far as it has come.
function showAnswer(node, text) {
  node.replaceChildren();
  let fence = "", lines = [];
  const flush = () => {
    const part = lines.join("\n");
    if (part.trim() || fence) node.append(fence ? make("pre", "", part) : make("div", "words", part.trim()));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = line.match(/^\s*(`{3,}|~{3,})/);
    if (mark && !fence) { flush(); fence = mark[1]; }
    else if (mark && line.trim().startsWith(fence)) { flush(); fence = ""; }
    else lines.push(line);
  }
  flush();
}

async function showPicture(parent, name) {
  const picture = make("img");
  picture.alt = name;
  const file = await call("GET", `${session}/files/${encodeURIComponent(name)}`);
  picture.src = URL.createObjectURL(new Blob([await file.arrayBuffer()], { type: "image/*" }));
  parent.append(picture);
}

async function download(path, name) {
  const link = make("a");
  link.href = URL.createObjectURL(await (await call("GET", path)).blob());
  link.download = name;
  link.click();
}

function showFiles(files) {
  $("files").replaceChildren(...files.map(({ name, size }) => {
    const button = make("button", "file", `${name} (${size} bytes)`);
    button.type = "button";
    button.onclick = () => download(`${session}/files/${encodeURIComponent(name)}`, name.split("/").pop()).catch(complain);
    return button;
  }));
}

function showRun(parent, ran) {
  const failed = ran.outcome !== "passed";
  const figure = make("figure", failed ? "failed" : "");
  figure.append(make("figcaption", "", `result: ${ran.outcome}, ${ran.seconds.toFixed(1)} s`));
  figure.append(make("pre", "", ran.shown || "(no output)"));
  parent.append(figure);
  showFiles(ran.files);
  for (const { name, changed } of ran.files) {
    if (changed && PICTURE.test(name)) showPicture(figure, name).catch(complain);
  }
}

// Asks whether code may run, or packages may be installed; the code may be changed first.
function askFor(parent, asked) {
  const box = make("div", "ask");
  const editor = make("textarea");
  editor.setAttribute("aria-label", "Code to run");
  if (asked.run) editor.value = asked.run.code || asked.run.shell;
  box.append(make("p", "", asked.run ? "Run this?" : `Install ${asked.install.join(" ")}?`));
  if (asked.run) box.append(editor);
  for (const [label, allowed] of [["Yes", true], ["No", false]]) {
    const button = make("button", "", label);
    button.type = "button";
    button.onclick = () => {
      box.remove();
      call("POST", `${session}/allow`, { allowed, text: editor.value }).catch(complain);
    };
    box.append(button);
  }
  parent.append(box);
}

function addUser(text, turn) {
  const article = make("article");
  article.dataset.turn = turn;
  article.append(make("div", "user", text));
  const tools = make("div", "tools");
  for (const [label, action] of [["Edit", edit], ["Again", again]]) {
    const button = make("button", "", label);
    button.type = "button";
    button.onclick = () => { if (!busy) action(turn, text).catch(complain); };
    tools.append(button);
  }
  article.append(tools);
  $("talk").append(article);
}

async function backTo(turn) {
  const now = await (await call("POST", `${session}/back`, { turn })).json();
  for (const article of [...$("talk").children]) {
    if (Number(article.dataset.turn) >= turn) article.remove();
  }
  showFiles(now.files);
}

async function edit(turn, text) {
  await backTo(turn);
  $("text").value = text;
  $("text").focus();
}

async function again(turn, text) {
  await backTo(turn);
  await say(text);
}

async function* lines(answer) {
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const parts = rest.split("\n");
    rest = parts.pop();
    yield* parts;
    if (done) return;
  }
}

async function say(text) {
  complain(null);
  working(true);
  const turn = new Set([...$("talk").children].map((article) => article.dataset.turn)).size;
  addUser(text, turn);
  const article = make("article", "assistant");
  article.dataset.turn = turn;
  $("talk").append(article);
  let words = null, said = "";
  try {
    const answer = await call("POST", `${session}/messages`, { text, asks: $("asks").checked });
    for await (const line of lines(answer)) {
      const event = JSON.parse(line);
      if (event.said !== undefined) {
        if (!words) article.append(words = make("div"));
        showAnswer(words, said += event.said);
      } else {
        words = null;
        said = "";
        if (event.ran) showRun(article, event.ran);
        if (event.run || event.install) askFor(article, event);
        if (event.ended && event.ended !== "answered") article.append(make("p", "ended", event.ended));
        if (event.error) throw new Error(event.error.message);
      }
      scrollTo(0, document.body.scrollHeight);
    }
  } catch (error) {
    complain(error);
  } finally {
    for (const box of article.querySelectorAll(".ask")) box.remove();
    working(false);
  }
}

$("form").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || busy) return;
  $("text").value = "";
  say(text);
};
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("form").requestSubmit();
  }
};
$("stop").onclick = () => call("POST", `${session}/stop`, {}).catch(complain);
$("new").onclick = () => { if (!busy) begin().catch(complain); };
$("export").onchange = (event) => {
  const format = event.target.value;
  event.target.value = "";
  if (format) download(`${session}/export.${format}`, `conversation.${format}`).catch(complain);
};
$("upload").onchange = async (event) => {
  try {
    for (const file of event.target.files) {
      const answer = await call("PUT", `${session}/files/${encodeURIComponent(file.name)}`, file);
      showFiles((await answer.json()).files);
    }
  } catch (error) {
    complain(error);
  }
  event.target.value = "";
};
function other(theme) {
  return theme === "dark" ? "light" : "dark";
}
let theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
function showTheme() {
  $("theme").textContent = other(theme) === "dark" ? "Dark" : "Light";
}
$("theme").onclick = () => {
  theme = document.documentElement.dataset.theme = other(theme);
  showTheme();
};
showTheme();
begin().catch(complain);
