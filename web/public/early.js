// Before the first paint: the person's own choice of colours, size and motion, so that nothing flashes.
try {
  const chosen = JSON.parse(localStorage.getItem("preferences") || "{}")
  const root = document.documentElement
  if (chosen.theme === "light" || chosen.theme === "dark") root.dataset.theme = chosen.theme
  if (chosen.calm === true) root.dataset.motion = "off"
  if (chosen.textPercent > 100 && chosen.textPercent <= 200) root.style.fontSize = chosen.textPercent + "%"
} catch {
  // Without storage the page follows the system.
}
