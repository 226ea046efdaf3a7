// ruleid: makes-markup-in-the-browser
cell.innerHTML = text;
// ok: makes-markup-in-the-browser
cell.textContent = text;
