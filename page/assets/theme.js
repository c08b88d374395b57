// Runs before the page is drawn, so that it does not flash in the other colours.
(() => {
  try {
    const theme = localStorage.getItem('winnow-theme');
    if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; then the system decides.
  }
})();
