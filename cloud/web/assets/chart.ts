// Draws every [data-chart] figure: one uPlot panel a group of signals, cursors in step, read by mouse, touch or arrow keys.
import uPlot from "uplot";
import { SHOTS_ARRIVED } from "./live";

interface Series { label: string; unit: string; values: (number | null)[] }
interface Limit { label: string; unit: string; value: number }
interface Panel { title: string; series: Series[]; limits: Limit[]; range: [number, number] | null }
interface ChartData { x: { label: string; unit: string; is_time: boolean; values: number[] }; panels: Panel[]; version: string }

const REFRESH_MS_MIN = 2_000;
const PANEL_HEIGHT_PX = 190;
const SERIES_COLOURS = 4;
/** Lines differ by dash as well as by colour. */
const DASHES: number[][] = [[], [7, 4], [2, 3], [10, 3, 2, 3]];
/** The same in the legend, as CSS knows it. */
const LEGEND_DASHES: string[] = ["solid", "dashed", "dotted", "double"];

const language = document.documentElement.lang || "en";
const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
const moment = new Intl.DateTimeFormat(language, { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayTick = new Intl.DateTimeFormat(language, { month: "2-digit", day: "2-digit" });
const minuteTick = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const secondTick = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export function startCharts(): void {
  document.querySelectorAll<HTMLElement>("[data-chart]").forEach((figure) => new Chart(figure));
}

class Chart {
  private plots: uPlot[] = [];
  private data: ChartData | null = null;
  private askedMs = -Infinity;
  private isAsking = false;
  private isDue = false;

  constructor(private readonly figure: HTMLElement) {
    void this.refresh();
    if (figure.dataset["live"] !== undefined) document.addEventListener(SHOTS_ARRIVED, () => this.due());
    new ResizeObserver(() => this.fit()).observe(figure);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    document.addEventListener("visibilitychange", () => { if (this.isDue) this.due(); });
  }

  /** New shots: ask soon, at most every REFRESH_MS_MIN, and not while nobody looks. */
  private due(): void {
    const waitMs = this.askedMs + REFRESH_MS_MIN - performance.now();
    if (document.hidden) { this.isDue = true; return; }
    if (this.isDue && waitMs > 0) return;
    this.isDue = true;
    setTimeout(() => { if (this.isDue && !document.hidden) void this.refresh(); }, Math.max(0, waitMs));
  }

  private async refresh(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    this.isDue = false;
    this.askedMs = performance.now();
    try {
      const answer = await fetch(this.figure.dataset["chart"] ?? "", { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new TypeError(`HTTP ${answer.status}`);
      const data = (await answer.json()) as ChartData;
      const isSame = data.version === this.data?.version;
      this.data = data;
      if (!isSame) this.draw();
      this.say(data.panels.length === 0 ? "empty" : "");
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      this.say("failed"); // the drawn curves stay, marked as not current; the next shot asks again
    } finally {
      this.isAsking = false;
    }
  }

  private say(state: "" | "empty" | "failed"): void {
    const note = this.figure.querySelector<HTMLElement>("[data-chart-note]");
    this.figure.dataset["state"] = state || "drawn";
    if (!note) return;
    note.hidden = state === "";
    note.textContent = state === "" ? "" : (note.dataset[state] ?? "");
  }

  private draw(): void {
    const data = this.data;
    if (!data) return;
    const shape = (panel: Panel) => [panel.title, ...panel.series.map((line) => line.label)].join("|");
    const signature = data.panels.map(shape).join("\n") + matchMedia("(prefers-color-scheme: dark)").matches;
    if (this.figure.dataset["signature"] === signature && this.plots.length === data.panels.length) {
      // The same lines: only new values, so that cursor, focus and hidden series stay as the reader left them.
      this.plots.forEach((plot, at) => plot.setData(columns(data, data.panels[at]!)));
      return;
    }
    this.plots.forEach((plot) => plot.destroy());
    this.figure.querySelectorAll(".panel").forEach((panel) => panel.remove());
    this.plots = data.panels.map((panel) => this.panel(data, panel));
    this.figure.dataset["signature"] = signature;
  }

  private panel(data: ChartData, panel: Panel): uPlot {
    const box = document.createElement("div");
    box.className = "panel";
    const title = document.createElement("h3");
    title.textContent = panel.title;
    const target = document.createElement("div");
    target.className = "plot";
    target.tabIndex = 0;
    target.setAttribute("role", "group");
    target.setAttribute("aria-label", `${panel.title}: ${panel.series.map((line) => line.label).join(", ")}`);
    box.append(title, target);
    this.figure.append(box);
    const plot = new uPlot(options(data, panel, this.width(), this.figure.id), columns(data, panel), target);
    target.addEventListener("keydown", (event) => step(plot, event));
    return plot;
  }

  private width(): number {
    return Math.max(240, this.figure.clientWidth);
  }

  private fit(): void {
    for (const plot of this.plots) {
      if (plot.width !== this.width()) plot.setSize({ width: this.width(), height: PANEL_HEIGHT_PX });
    }
  }
}

function columns(data: ChartData, panel: Panel): uPlot.AlignedData {
  const limits = panel.limits.map((limit) => data.x.values.map(() => limit.value));
  return [data.x.values, ...panel.series.map((line) => line.values), ...limits];
}

function options(data: ChartData, panel: Panel, width: number, group: string): uPlot.Options {
  const ink = colour("--ink-soft");
  const grid = { stroke: colour("--line"), width: 1 };
  const units = [...new Set([...panel.series, ...panel.limits].map((line) => line.unit))];
  const scales: Record<string, uPlot.Scale> = { x: { time: data.x.is_time } };
  for (const unit of units) {
    const range = panel.range;
    scales[unit || "value"] = range ? { range: (_plot, low, high) => [Math.min(range[0], low), Math.max(range[1], high)] } : {};
  }
  const valueAxis = (unit: string, at: number): uPlot.Axis => ({
    scale: unit || "value", side: at === 0 ? 3 : 1, stroke: ink, size: 52, font: font(), ticks: grid,
    grid: at === 0 ? grid : { show: false }, label: unit, labelSize: unit ? 18 : 0, labelFont: font(), labelGap: 0,
    values: (_plot, ticks) => ticks.map((tick) => number.format(tick)),
  });
  const format = (unit: string) => (_plot: uPlot, value: number | null) => value === null || value === undefined ? "–" : `${number.format(value)}${unit ? `\u202f${unit}` : ""}`;
  const lines = panel.series.map((line, at): uPlot.Series => ({
    label: line.label, scale: line.unit || "value", stroke: colour(`--series-${(at % SERIES_COLOURS) + 1}`), width: 1.6,
    dash: DASHES[at % DASHES.length]!, value: format(line.unit), spanGaps: false,
    points: { show: data.x.values.length < 40, size: 5 },
  }));
  const limits = panel.limits.map((limit): uPlot.Series => ({
    label: limit.label, scale: limit.unit || "value", stroke: colour("--alarm"), width: 1, dash: [4, 4],
    value: format(limit.unit), points: { show: false },
  }));
  const time = (_plot: uPlot, value: number | null) => value === null || value === undefined ? "–"
    : data.x.is_time ? moment.format(value * 1000) : `${number.format(value)}\u202f${data.x.unit}`;
  return {
    width, height: PANEL_HEIGHT_PX, scales,
    series: [{ label: data.x.label, value: time }, ...lines, ...limits],
    axes: [
      { stroke: ink, grid, ticks: grid, font: font(), size: 34, values: (_plot, ticks, _axis, _space, increment) => ticks.map((tick) =>
        data.x.is_time ? timeTick(tick, increment) : `${number.format(tick)}\u202f${data.x.unit}`) },
      ...units.slice(0, 2).map(valueAxis),
    ],
    cursor: { sync: { key: group, setSeries: false }, drag: { x: true, y: false }, points: { size: 7 } },
    legend: {
      live: true,
      markers: { dash: (_plot, at) => at > panel.series.length ? "dashed" : LEGEND_DASHES[(at - 1) % LEGEND_DASHES.length]! },
    },
  };
}

function timeTick(tick_s: number, increment_s: number): string {
  const form = increment_s >= 86_400 ? dayTick : increment_s >= 60 ? minuteTick : secondTick;
  return form.format(tick_s * 1000);
}

/** Arrow keys move the read-out by one sample, with Shift by twenty; Home and End go to the ends. */
function step(plot: uPlot, event: KeyboardEvent): void {
  const times = plot.data[0];
  const last = times.length - 1;
  const at = plot.cursor.idx ?? 0;
  const stride = event.shiftKey ? 20 : 1;
  const moves: Record<string, number> = { ArrowLeft: at - stride, ArrowRight: at + stride, Home: 0, End: last };
  const to = moves[event.key];
  if (to === undefined || last < 0) return;
  event.preventDefault();
  const left = plot.valToPos(times[Math.min(last, Math.max(0, to))]!, "x");
  plot.setCursor({ left, top: plot.over.clientHeight / 2 }, true);
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function font(): string {
  return `12px ${getComputedStyle(document.body).fontFamily}`;
}
