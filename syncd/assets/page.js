"use strict";
// Keeps the page up to date: every two seconds it is asked for again, and the sections that differ are exchanged. All of
// it works without this file too. What somebody types in, marks or presses is left alone meanwhile.
(() => {
  const EVERY_MS = 2000;
  const SLOWEST_MS = 30000;
  let wait = EVERY_MS;
  let timer = null;
  let pressed = false;

  const isTyping = (section) => {
    const at = document.activeElement;
    return section.contains(at) && at.matches("input:not([type=hidden])");
  };

  const isMarked = (section) => {
    const marked = document.getSelection();
    return marked !== null && !marked.isCollapsed && marked.containsNode(section, true);
  };

  const exchange = (old, fresh) => {
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...old.querySelectorAll("details[open][id]")].map((each) => each.id);
    old.replaceWith(fresh);
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  const show = (fresh) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(old.id);
      if (now && !old.isEqualNode(now) && !isTyping(old) && !isMarked(old)) exchange(old, document.adoptNode(now));
    }
    document.title = fresh.title;
  };

  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!pressed) show(fresh);
      document.getElementById("lost").hidden = true;
      wait = EVERY_MS;
    } catch {
      document.getElementById("lost").hidden = false;
      wait = Math.min(wait * 2, SLOWEST_MS);
    }
  };

  const next = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (!document.hidden) await refresh();
      next();
    }, wait);
  };

  addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel"]) {
    addEventListener(end, () => setTimeout(() => { pressed = false; }, 300));
  }
  document.addEventListener("visibilitychange", () => {
    wait = document.hidden ? wait : 0;
    next();
  });
  // An answer is told once: a page that is loaded again or bookmarked does not repeat it.
  const here = new URL(location.href);
  if (here.searchParams.has("told")) {
    here.searchParams.delete("told");
    history.replaceState(null, "", here);
  }
  if (document.querySelector("[data-live]")) next();
})();
