/** A drawn landscape: hills at dusk, the same each time. */

export async function picture(): Promise<Blob> {
  const canvas = new OffscreenCanvas(960, 720)
  const pen = canvas.getContext("2d")!
  const sky = pen.createLinearGradient(0, 0, 0, 720)
  sky.addColorStop(0, "#27516b")
  sky.addColorStop(0.45, "#d59a72")
  sky.addColorStop(0.7, "#f3d6a8")
  pen.fillStyle = sky
  pen.fillRect(0, 0, 960, 720)
  pen.fillStyle = "#fff3d6"
  pen.beginPath()
  pen.arc(650, 330, 46, 0, 7)
  pen.fill()
  const hills = [["#8d7f86", 400, 60], ["#5d6b78", 460, 80], ["#35525a", 530, 60], ["#1d3a3d", 610, 50]] as const
  hills.forEach(([color, base, swing], layer) => {
    pen.fillStyle = color
    pen.beginPath()
    pen.moveTo(0, 720)
    for (let x = 0; x <= 960; x += 8) pen.lineTo(x, base - swing * Math.sin(x / (150 + layer * 37) + layer * 2.1) - 14 * Math.sin(x / 41 + layer))
    pen.lineTo(960, 720)
    pen.fill()
  })
  pen.fillStyle = "#122a2c"
  pen.fillRect(180, 470, 70, 70)
  pen.beginPath()
  pen.arc(215, 470, 35, Math.PI, 0)
  pen.fill()
  return canvas.convertToBlob({ type: "image/png" })
}
