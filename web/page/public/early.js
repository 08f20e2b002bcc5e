// Runs before the first paint, and where modules may not: a page that was opened as a file.
try {
  const theme = localStorage.getItem("vecpress-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden.
}
if (location.protocol === "file:") {
  document.addEventListener("DOMContentLoaded", () => {
    const message = document.getElementById("message");
    message.textContent =
      "A browser reads the data of this page only from a server. Run `python -m http.server` " +
      "in the folder of this file, and open http://localhost:8000";
    message.hidden = false;
  });
}
