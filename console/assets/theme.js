// Runs before anything is drawn, so that a chosen theme doesn't flash.
(() => {
  let theme = '';
  try {
    theme = localStorage.getItem('bayplan.theme') ?? '';
  } catch {
    // A browser that keeps nothing follows the system.
  }
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
