// Search over words.js: every word typed must occur; ids that match come first.
const box = document.getElementById("query"), list = document.getElementById("found"), said = document.getElementById("said");
function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = words.length ? WORDS.map(([page, head, text]) => {
    const all = (head + " " + text).toLowerCase();
    return {page, head, text, rank: words.every(w => all.includes(w)) ? (words.every(w => head.toLowerCase().includes(w)) ? 2 : 1) : 0};
  }).filter(hit => hit.rank).sort((a, b) => b.rank - a.rank) : [];
  list.replaceChildren(...hits.slice(0, 60).map(hit => {
    const item = document.createElement("li"), link = document.createElement("a"), code = document.createElement("code");
    code.textContent = hit.head; link.href = hit.page; link.append(code);
    item.append(link, " " + hit.text.slice(0, 160)); return item;
  }));
  said.textContent = words.length ? hits.length + (hits.length === 1 ? " page" : " pages") : "";
}
box.addEventListener("input", search);
box.value = new URLSearchParams(location.search).get("q") || "";
search();
