// Keeps the page live: takes in what changed, tells the age of everything, and says when there is no news.
"use strict";
(() => {
  // The server says something at least every 15 s.
  const SILENCE = 40000;
  const AGAIN = 5000;
  const events = document.currentScript.dataset.events;
  const byId = (id) => document.getElementById(id);
  let skew = 0; // The server's clock less ours.
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

  // Changes an element to be like another one, and leaves alone what is equal: selections, open details and focus stay, and a screen reader
  // announces only what is new.
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
      // Events have no ages: `show` writes them.
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

  // An event consists of elements of the page. The layout, which comes first, has an empty element for each part: a part that the page has
  // already stays as it is, wherever it is now.
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
    const lost = broken || Date.now() - heard > SILENCE;
    document.documentElement.classList.toggle("lost", lost);
    put(byId("news"), lost ? `No news since ${clock(heard + skew)}` : "Live");
    put(byId("clock"), lost ? `${span((Date.now() - heard) / 1000)} ago: this may be out of date` : clock(now()));
    const { title, icon } = byId("assessment").dataset;
    document.title = lost ? `No news: ${title}` : title;
    const tab = document.querySelector("link[rel=icon]");
    if (tab.getAttribute("href") !== icon) tab.setAttribute("href", icon);
    // What was so when we heard of it last may be so no longer: its age stands still.
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
      // After an answer that is no stream a browser does not try again by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN);
    });
  };

  connect();
  setInterval(show, 1000);
})();
