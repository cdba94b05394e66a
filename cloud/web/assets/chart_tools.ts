// The buttons of a figure: the whole range again, and its panels as one PNG.
import type uPlot from "uplot";

const GAP_PX = 12;
const LINE_PX = 18;

/** Buttons above the panels; `plots` gives those that are drawn now. */
export function toolbar(figure: HTMLElement, plots: () => uPlot[]): void {
  const bar = document.createElement("div");
  bar.className = "chart-tools";
  const reset = button("chart-reset", figure.dataset["reset"] ?? "");
  const image = button("chart-image", figure.dataset["image"] ?? "");
  reset.addEventListener("click", () => resetZoom(plots()));
  image.addEventListener("click", () => save(figure, plots()));
  bar.append(reset, image);
  figure.append(bar);
}

function button(name: string, text: string): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.className = name;
  made.textContent = text;
  return made;
}

export function resetZoom(plots: uPlot[]): void {
  for (const plot of plots) {
    const times = plot.data[0];
    if (times.length > 0) plot.setScale("x", { min: times[0]!, max: times[times.length - 1]! });
  }
}

/** All panels, about the read-out of `plot`; never beyond the data, and never closer than two samples. */
export function zoomBy(plots: uPlot[], plot: uPlot, factor: number): void {
  const times = plot.data[0];
  const { min, max } = plot.scales["x"]!;
  if (times.length < 3 || min === undefined || max === undefined || min === null || max === null) return;
  const first = times[0]!;
  const last = times[times.length - 1]!;
  const about = plot.cursor.idx === null || plot.cursor.idx === undefined ? (min + max) / 2 : times[plot.cursor.idx]!;
  const least = (2 * (last - first)) / (times.length - 1);
  const width = Math.min(last - first, Math.max(least, (max - min) * factor));
  const from = Math.min(last - width, Math.max(first, about - width / 2));
  for (const each of plots) each.setScale("x", { min: from, max: from + width });
}

function save(figure: HTMLElement, plots: uPlot[]): void {
  draw(plots)?.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${(figure.dataset["name"] ?? figure.id).replace(/[^\w.-]+/g, "_")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

/** The panels under one another, each with its title above and what its lines are below. */
function draw(plots: uPlot[]): HTMLCanvasElement | null {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  if (!context || plots.length === 0) return null;
  const style = getComputedStyle(document.documentElement);
  const scale = devicePixelRatio || 1;
  const width = Math.max(...plots.map((plot) => plot.ctx.canvas.width));
  const font = (weight: number) => `${weight} ${12 * scale}px ${getComputedStyle(document.body).fontFamily}`;
  context.font = font(400);
  const legends = plots.map((plot) => wrapped(context, plot.series.slice(1).map((line) => String(line.label)), width));
  const line = LINE_PX * scale;
  const heights = plots.map((plot, at) => line + plot.ctx.canvas.height + legends[at]!.length * line + GAP_PX * scale);
  canvas.width = width;
  canvas.height = 2 * line + heights.reduce((sum, height) => sum + height, 0);
  context.fillStyle = style.getPropertyValue("--surface").trim();
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.getPropertyValue("--ink").trim();
  context.textBaseline = "top";
  context.font = font(700);
  context.fillText(`${document.querySelector("h1")?.textContent ?? ""} · ${new Date().toLocaleString(document.documentElement.lang)}`, 0, 0);
  let top = 1.5 * line;
  plots.forEach((plot, at) => {
    context.font = font(700);
    context.fillText(plot.root.closest(".panel")?.querySelector("h3")?.textContent ?? "", 0, top);
    context.drawImage(plot.ctx.canvas, 0, top + line);
    context.font = font(400);
    legends[at]!.forEach((text, row) => context.fillText(text, 0, top + line + plot.ctx.canvas.height + row * line));
    top += heights[at]!;
  });
  return canvas;
}

function wrapped(context: CanvasRenderingContext2D, words: string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]!}  ·  ${word}` : word;
    if (lines.length > 0 && context.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
