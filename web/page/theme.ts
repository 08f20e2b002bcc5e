/** Light and dark: the system's, until the visitor chooses the other; see public/early.js. */

const KEY = "vecpress-theme";
const COLORS = { light: "#ffffff", dark: "#11161c" };

/** Make the button switch between light and dark, and remember a choice against the system. */
export function themeButton(button: HTMLElement): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = (): boolean => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tell = (): void => {
    button.setAttribute("aria-pressed", String(isDark()));
    const color = COLORS[isDark() ? "dark" : "light"];
    for (const meta of document.querySelectorAll<HTMLMetaElement>("meta[name=theme-color]")) {
      meta.content = color;
    }
  };
  button.addEventListener("click", () => {
    const dark = !isDark();
    if (dark === system.matches) delete root.dataset.theme;
    else root.dataset.theme = dark ? "dark" : "light";
    remember(root.dataset.theme);
    tell();
  });
  system.addEventListener("change", tell);
  tell();
}

function remember(theme: string | undefined): void {
  try {
    if (theme) localStorage.setItem(KEY, theme);
    else localStorage.removeItem(KEY);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
}
