// Draws every [data-chart] figure: one uPlot panel a group of signals, cursors in step, read by mouse, touch or arrow keys.
import uPlot from "uplot";
import { marksPlugin, showMarks } from "./chart_marks";
import { resetZoom, toolbar, zoomBy } from "./chart_tools";
import { SHOTS_ARRIVED } from "./live";

interface Series { label: string; unit: string; role: string; style: number; at_ms: number | null; values: (number | null)[] }
interface Limit { label: string; unit: string; value: number }
interface Panel { title: string; note: string; series: Series[]; limits: Limit[]; range: [number, number] | null }
export interface Mark { at: number; kind: string; letter: string; label: string }
interface ChartData { x: { label: string; unit: string; is_time: boolean; values: number[] }; panels: Panel[]; marks: Mark[]; note: string; version: string }

const REFRESH_MS_MIN = 2_000;
const PANEL_HEIGHT_PX = 190;
const SERIES_COLOURS = 4;
/** Lines differ by dash as well as by colour. */
const DASHES: number[][] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [16, 5], [4, 2, 1, 2], [12, 3, 2, 3, 2, 3]];
/** The same in the legend, as CSS knows it. */
const LEGEND_DASHES: string[] = ["solid", "dashed", "dotted", "double", "groove", "ridge", "inset"];

const language = document.documentElement.lang || "en";
const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
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
    toolbar(figure, () => this.plots);
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
    const shape = (panel: Panel) => [panel.title, ...panel.series.map(labelOf)].join("|");
    const signature = data.panels.map(shape).join("\n") + matchMedia("(prefers-color-scheme: dark)").matches;
    if (this.figure.dataset["signature"] === signature && this.plots.length === data.panels.length) {
      // The same lines: only new values, so that cursor, focus and hidden series stay as the reader left them.
      // A reader who has zoomed keeps his range.
      const isZoomed = this.figure.dataset["zoomed"] !== undefined;
      this.plots.forEach((plot, at) => {
        plot.setData(columns(data, data.panels[at]!), !isZoomed);
        if (isZoomed) plot.redraw();
      });
      this.tell(data);
      return;
    }
    this.plots.forEach((plot) => plot.destroy());
    this.figure.querySelectorAll(".panel").forEach((panel) => panel.remove());
    this.plots = data.panels.map((panel) => this.panel(data, panel));
    this.figure.dataset["signature"] = signature;
    delete this.figure.dataset["zoomed"];
    this.tell(data);
  }

  /** What the panels and the chart are made from, and what happened meanwhile: all that a canvas cannot tell. */
  private tell(data: ChartData): void {
    this.figure.querySelectorAll(".panel").forEach((box, at) => {
      const note = box.querySelector(".panel-note");
      if (note) note.textContent = data.panels[at]?.note ?? "";
    });
    let note = this.figure.querySelector<HTMLElement>(".chart-note");
    if (!note) {
      note = document.createElement("p");
      note.className = "chart-note small soft";
      this.figure.append(note);
    }
    note.textContent = data.note;
    note.hidden = data.note === "";
    showMarks(this.figure, data.marks, (at) => moment.format(at * 1000));
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
    const note = document.createElement("p");
    note.className = "panel-note small soft";
    box.append(title, target, note);
    this.figure.append(box);
    const plot = new uPlot(options(data, panel, this.width(box), this.figure, () => this.data?.marks ?? []), columns(data, panel), target);
    target.addEventListener("keydown", (event) => { step(plot, event); zoom(this.plots, plot, event); });
    return plot;
  }

  private width(box: Element): number {
    return Math.max(240, box.clientWidth);
  }

  private fit(): void {
    for (const plot of this.plots) {
      const width = this.width(plot.root.closest(".panel") ?? this.figure);
      if (plot.width !== width) plot.setSize({ width, height: PANEL_HEIGHT_PX });
    }
  }
}

function columns(data: ChartData, panel: Panel): uPlot.AlignedData {
  const limits = panel.limits.map((limit) => data.x.values.map(() => limit.value));
  return [data.x.values, ...panel.series.map((line) => line.values), ...limits];
}

/** A shot's line is told by its time, in the reader's own clock. */
function labelOf(line: Series): string {
  return line.at_ms === null ? line.label : `${line.label} ${clock.format(line.at_ms)}`;
}

function options(data: ChartData, panel: Panel, width: number, figure: HTMLElement, marks: () => Mark[]): uPlot.Options {
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
  const lines = panel.series.map((line): uPlot.Series => ({
    label: labelOf(line), scale: line.unit || "value", value: format(line.unit), spanGaps: false, ...look(line, data.x.values.length < 40),
  }));
  const [high, low] = ["high", "low"].map((role) => panel.series.findIndex((line) => line.role === role) + 1);
  const bands: uPlot.Band[] = high && low ? [{ series: [high, low], fill: colour("--band") }] : [];
  const limits = panel.limits.map((limit): uPlot.Series => ({
    label: limit.label, scale: limit.unit || "value", stroke: colour("--alarm"), width: 1, dash: [4, 4],
    value: format(limit.unit), points: { show: false },
  }));
  const time = (_plot: uPlot, value: number | null) => value === null || value === undefined ? "–"
    : data.x.is_time ? moment.format(value * 1000) : `${number.format(value)}\u202f${data.x.unit}`;
  return {
    width, height: PANEL_HEIGHT_PX, scales, bands,
    plugins: [marksPlugin(marks, () => ({ ink: colour("--ink"), line: colour("--ink-soft"), ground: colour("--surface"), font: font() }))],
    hooks: { setScale: [(plot, key) => { if (key === "x") zoomed(figure, plot); }] },
    series: [{ label: data.x.label, value: time }, ...lines, ...limits],
    axes: [
      { stroke: ink, grid, ticks: grid, font: font(), size: 34, values: (_plot, ticks, _axis, _space, increment) => ticks.map((tick) =>
        data.x.is_time ? timeTick(tick, increment) : `${number.format(tick)}\u202f${data.x.unit}`) },
      ...units.slice(0, 2).map(valueAxis),
    ],
    cursor: { sync: { key: figure.id, setSeries: false }, drag: { x: true, y: false }, points: { size: 7 } },
    legend: {
      live: true,
      markers: { dash: (_plot, at) => legendDash(panel.series[at - 1]) },
    },
  };
}

/** How a line of each role is drawn: shots by colour and dash, what is usual in grey, limits dashed, points as rings. */
function look(line: Series, hasPoints: boolean): Partial<uPlot.Series> {
  const none = { points: { show: false } };
  switch (line.role) {
    case "high": case "low": return { stroke: colour("--band-edge"), width: 0.75, ...none };
    case "reference": return { stroke: colour("--bar"), width: 1.4, dash: [4, 3], ...none };
    case "centre": return { stroke: colour("--ink-soft"), width: 1, ...none };
    case "limit": return { stroke: colour("--alarm"), width: 1, dash: [4, 4], ...none };
    case "outside": return {
      stroke: colour("--alarm"), width: 0, paths: () => null, points: { show: true, size: 10, width: 1.8, fill: "transparent", stroke: colour("--alarm") },
    };
    default: return {
      stroke: colour(`--series-${(line.style % SERIES_COLOURS) + 1}`), width: 1.6, dash: DASHES[line.style % DASHES.length]!,
      points: { show: hasPoints, size: 5 },
    };
  }
}

function legendDash(line: Series | undefined): string {
  if (!line || line.role === "limit" || line.role === "reference") return "dashed";
  return line.role === "value" ? LEGEND_DASHES[line.style % LEGEND_DASHES.length]! : "solid";
}

function zoomed(figure: HTMLElement, plot: uPlot): void {
  const times = plot.data[0];
  const { min, max } = plot.scales["x"]!;
  if (min === undefined || max === undefined || min === null || max === null || times.length === 0) return;
  const isWhole = min <= times[0]! && max >= times[times.length - 1]!;
  if (isWhole) delete figure.dataset["zoomed"];
  else figure.dataset["zoomed"] = "";
}

/** + and - zoom about the read-out, Escape shows all. */
function zoom(plots: uPlot[], plot: uPlot, event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const factors: Record<string, number> = { "+": 0.5, "=": 0.5, "-": 2 };
  const factor = factors[event.key];
  if (factor !== undefined) zoomBy(plots, plot, factor);
  else if (event.key === "Escape") resetZoom(plots);
  else return;
  event.preventDefault();
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
