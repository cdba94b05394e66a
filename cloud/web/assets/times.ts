// <time> elements: local date and time, and ages that go on counting by themselves.
import { serverNowMs, setServerNow } from "./clock";

const AGE_STEP_MS = 1_000;
const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { style: "narrow", numeric: "always" });
const clockTime = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
// Swedish writes dates as ISO 8601 does: the one order that no reader mistakes.
const dayAndTime = new Intl.DateTimeFormat("sv-SE", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

export function startTimes(): void {
  setServerNow(Number(document.documentElement.dataset["now"]));
  write(document.body);
  // A mutation is answered before the next paint, so that nobody sees a UTC time flash by after a live update.
  new MutationObserver((changes) => {
    for (const change of changes) {
      for (const node of change.addedNodes) if (node instanceof Element) write(node);
    }
  }).observe(document.body, { childList: true, subtree: true });
  setInterval(() => document.querySelectorAll<HTMLTimeElement>("time[data-age]").forEach(writeAge), AGE_STEP_MS);
}

/** `HH:MM:SS` of this browser's time zone. */
export function localClock(utcMs: number): string {
  return clockTime.format(utcMs);
}

function write(root: Element): void {
  const times = [...root.querySelectorAll<HTMLTimeElement>("time[datetime]")];
  if (root instanceof HTMLTimeElement) times.push(root);
  for (const time of times) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    if (time.dataset["age"] !== undefined) writeAge(time);
    else setText(time, time.dataset["clock"] !== undefined ? clockTime.format(at) : dayAndTime.format(at));
  }
}

function writeAge(time: HTMLTimeElement): void {
  const at = Date.parse(time.dateTime);
  if (Number.isNaN(at)) return;
  setText(time, ageText((serverNowMs() - at) / 1000));
  if (!time.title) time.title = dayAndTime.format(at);
}

/** The age in the largest unit that keeps it above two; a time in the future (clock of a press) reads as now. */
function ageText(age_s: number): string {
  if (age_s < 120) return relative.format(-Math.max(0, Math.round(age_s)), "second");
  if (age_s < 7_200) return relative.format(-Math.round(age_s / 60), "minute");
  if (age_s < 172_800) return relative.format(-Math.round(age_s / 3_600), "hour");
  return relative.format(-Math.round(age_s / 86_400), "day");
}

function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
