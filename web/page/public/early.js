// Runs before the first paint, and where modules may not: a page that was opened as a file.
try {
  const theme = localStorage.getItem("vecpress-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden.
}
function say(text) {
  const show = () => {
    const message = document.getElementById("message");
    message.textContent = text;
    message.hidden = false;
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", show);
  else show();
}
const { protocol } = location;
if (protocol === "file:") {
  say(
    "A browser reads the data of this page only from a server. Run `python -m http.server` " +
      "in the folder of this file, and open http://localhost:8000",
  );
}
addEventListener(
  "error",
  ({ target }) => {
    if (protocol === "file:" || !(target instanceof HTMLScriptElement)) return;
    say(
      `${target.src} cannot be had, or not be run: was the whole folder that "vecpress export ` +
        '--to web" wrote copied there, and does the server send .js files as text/javascript?',
    );
  },
  true, // such errors do not bubble
);
