// Keeps what is shown current. Without it the page reads just as well; reload it then.
"use strict";

const follow = document.body.dataset.follow;
const signal = document.getElementById("signal");

function say(text, tone) {
  if (!signal) return;
  signal.textContent = text;
  signal.className = "signal is-" + tone;
}

// The page is read again and its live parts are taken over where they differ. One at a time; a change meanwhile asks once more.
let reading = false;
let again = false;

async function refresh() {
  if (document.hidden || reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") {
      location.reload(); // signed out meanwhile
      return;
    }
    if (answer.ok) {
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      say("Live", "good");
    } else {
      say("Not current: the server could not answer", "bad");
    }
  } catch {
    say("Not current: the server does not answer", "bad");
  }
  reading = false;
  if (again && !document.hidden) {
    again = false;
    setTimeout(refresh, 300);
  }
}

function replace(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(part.id);
    if (!now || now.innerHTML === part.innerHTML) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.replaceChildren(...now.childNodes);
    if (focused) {
      [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus({ preventScroll: true });
    }
  }
}

if (follow) {
  const stream = new EventSource(follow);
  stream.addEventListener("change", refresh);
  stream.addEventListener("tick", refresh);
  stream.addEventListener("error", () => say("Not current: reconnecting", "bad"));
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  document.addEventListener("visibilitychange", () => !document.hidden && refresh());
}

// "/" goes to the search, as on many pages of this kind.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("q")?.focus();
});
