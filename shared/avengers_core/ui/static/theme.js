// Before the first paint: the theme that was chosen here, or else that of the system.
document.documentElement.dataset.theme =
  localStorage.getItem("avengers-theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
