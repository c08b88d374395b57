/** A button between light and dark; until it is used, the system decides. */
export function listenToTheme() {
  const button = /** @type {HTMLButtonElement} */ (document.getElementById('theme'));
  const system = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () =>
    (document.documentElement.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const show = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.title = isDark() ? 'Light colours' : 'Dark colours';
  };
  button.addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem('winnow-theme', theme);
    } catch {
      // It is kept for this page alone then.
    }
    show();
  });
  system.addEventListener('change', show);
  show();
}
