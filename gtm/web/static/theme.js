// The choice of colours and of the wall mode is applied before anything is painted, so that nothing flashes.
// A plain script on purpose: modules run only after the first paint.
(() => {
  const root = document.documentElement;
  const kept = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be switched off; then the system's colours it is
    }
  };
  const theme = kept("gtm-theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  // A screen on the wall is opened by address: /#wall needs no hand on a mouse.
  if (location.hash === "#wall" || kept("gtm-wall") === "yes") root.dataset.wall = "";
  root.dataset.script = "";
})();
