// What happened at moments of a chart's axis: upright lines with letters, and the same in words below.
import type uPlot from "uplot";
import type { Mark } from "./chart";

interface Look { ink: string; line: string; ground: string; font: string }

/** Draws the marks that are in sight; letters that would cover one another are left to the list. */
export function marksPlugin(marks: () => Mark[], look: () => Look): uPlot.Plugin {
  return { hooks: { draw: [(plot) => drawMarks(plot, marks(), look())] } };
}

function drawMarks(plot: uPlot, marks: Mark[], look: Look): void {
  if (marks.length === 0) return;
  const { ctx: context, bbox } = plot;
  const scale = devicePixelRatio || 1;
  const size = 15 * scale;
  context.save();
  context.font = look.font.replace(/\d+px/, `${11 * scale}px`);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = scale;
  let free = -Infinity;
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    context.strokeStyle = look.line;
    context.setLineDash([2 * scale, 2 * scale]);
    context.beginPath();
    context.moveTo(x, bbox.top);
    context.lineTo(x, bbox.top + bbox.height);
    context.stroke();
    if (x - size / 2 < free) continue;
    context.setLineDash([]);
    context.fillStyle = look.ground;
    context.fillRect(x - size / 2, bbox.top, size, size);
    context.strokeRect(x - size / 2, bbox.top, size, size);
    context.fillStyle = look.ink;
    context.fillText(mark.letter, x, bbox.top + size / 2);
    free = x + size / 2;
  }
  context.restore();
}

export function showMarks(figure: HTMLElement, marks: Mark[], time: (at: number) => string): void {
  figure.querySelector(".chart-marks")?.remove();
  if (marks.length === 0) return;
  const box = document.createElement("details");
  box.className = "chart-marks";
  box.open = marks.length <= 6;
  const summary = document.createElement("summary");
  summary.className = "small";
  summary.textContent = `${figure.dataset["marks"] ?? ""} (${marks.length})`;
  const list = document.createElement("ul");
  for (const mark of [...marks].reverse()) {
    const item = document.createElement("li");
    const letter = document.createElement("b");
    letter.textContent = mark.letter;
    item.append(letter, ` ${time(mark.at)} ${mark.label}`);
    list.append(item);
  }
  box.append(summary, list);
  figure.append(box);
}
