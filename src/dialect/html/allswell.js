// Keeps the page live: replaces the parts that have changed, updates ages, and shows when there are no updates.
"use strict";
(() => {
  // The server sends an event at least every 15 s.
  const MAX_SILENCE = 40000;
  const RECONNECT_DELAY = 5000;
  const events = document.currentScript.dataset.events;
  const byId = (id) => document.getElementById(id);
  let skew = 0; // How far the server's clock is ahead of ours, in milliseconds.
  let heard = Date.now();
  let broken = false;
  const now = () => Date.now() + skew;

  const span = (seconds) => {
    if (seconds < 100) return `${Math.max(0, Math.floor(seconds))} s`;
    if (seconds < 6000) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} days`;
  };
  const clock = (at) => `${new Date(at).toISOString().slice(11, 19)} UTC`;
  const put = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  // Makes an element equal to another one and keeps the nodes that are equal already: so selections, open details and focus stay, and screen
  // readers announce only changes.
  const change = (old, wanted) => {
    if (old.nodeType !== wanted.nodeType || old.nodeName !== wanted.nodeName || old.id !== wanted.id) {
      old.replaceWith(wanted);
    } else if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== wanted.data) old.data = wanted.data;
    } else if (old.nodeType === Node.ELEMENT_NODE) {
      for (const { name } of [...old.attributes]) {
        if (!wanted.hasAttribute(name) && name !== "open") old.removeAttribute(name);
      }
      for (const { name, value } of wanted.attributes) {
        if (old.getAttribute(name) !== value) old.setAttribute(name, value);
      }
      // Events contain no ages: `show` writes them.
      if (!wanted.dataset.at) changeChildren(old, wanted);
    }
  };

  const changeChildren = (old, wanted) => {
    const children = [...wanted.childNodes];
    const ids = new Set(children.map((child) => child.id));
    for (const child of [...old.children]) if (child.id && !ids.has(child.id)) child.remove();
    children.forEach((child, at) => {
      const there = old.childNodes[at];
      const known = child.id ? byId(child.id) : null;
      if (known?.parentNode === old) {
        if (known !== there) old.insertBefore(known, there);
        change(known, child);
      } else if (there && !there.id) change(there, child);
      else old.insertBefore(child, there ?? null);
    });
    while (old.childNodes.length > children.length) old.lastChild.remove();
  };

  // An event consists of elements of the page. The layout, which comes first, has an empty element for each part. A part that the page already
  // has keeps its content, even if its place has changed.
  const take = (html) => {
    for (const wanted of [...new DOMParser().parseFromString(html, "text/html").body.children]) {
      for (const part of wanted.id === "page" ? wanted.querySelectorAll("[id]:empty") : []) {
        const known = byId(part.id);
        if (known) part.replaceWith(known.cloneNode(true));
      }
      const old = byId(wanted.id);
      if (old) change(old, document.adoptNode(wanted));
    }
  };

  const show = () => {
    const lost = broken || Date.now() - heard > MAX_SILENCE;
    document.documentElement.classList.toggle("lost", lost);
    put(byId("news"), lost ? `No updates since ${clock(heard + skew)}` : "Live");
    put(byId("clock"), lost ? `${span((Date.now() - heard) / 1000)} ago: this may be out of date` : clock(now()));
    const { title, icon } = byId("assessment").dataset;
    document.title = lost ? `No updates: ${title}` : title;
    const tab = document.querySelector("link[rel=icon]");
    if (tab.getAttribute("href") !== icon) tab.setAttribute("href", icon);
    // Without updates the page may be out of date, so ages stop at the last update.
    const at = lost ? heard + skew : now();
    for (const node of document.querySelectorAll("[data-at]")) put(node, span((at - node.dataset.at) / 1000));
  };

  const hear = (event) => {
    heard = Date.now();
    skew = Number(event.lastEventId) - heard;
    broken = false;
  };

  const connect = () => {
    const source = new EventSource(events);
    source.addEventListener("message", (event) => {
      hear(event);
      take(event.data);
      show();
    });
    source.addEventListener("beat", (event) => {
      hear(event);
      show();
    });
    source.addEventListener("error", () => {
      broken = true;
      show();
      // After a response that is no event stream, a browser does not reconnect by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_DELAY);
    });
  };

  connect();
  setInterval(show, 1000);
})();
