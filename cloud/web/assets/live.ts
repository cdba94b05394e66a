// Watches every live stream of the page: says at once when one is broken, so that nothing old looks live.
import { serverNowMs, setServerNow } from "./clock";
import { localClock } from "./times";

/** The server sends something at least every 10 s; two missed beats and some slack mean that the line is dead. */
const SILENCE_MS_MAX = 25_000;
const LOOK_EVERY_MS = 1_000;

/** Sent to `document` when the stream says that new shots have arrived. */
export const SHOTS_ARRIVED = "zhisan:shots";

interface StreamMaker {
  createEventSource?: (url: string) => EventSource;
}

let lastHeardMs = 0;
let isLeaving = false;

/** Put the watch into htmx's hook that opens event streams. */
export function watchStreams(htmx: object): void {
  (htmx as StreamMaker).createEventSource = openWatched;
  addEventListener("pagehide", () => (isLeaving = true));
  addEventListener("pageshow", () => (isLeaving = false));
}

function openWatched(url: string): EventSource {
  const source = new EventSource(url);
  let heardMs = performance.now();
  const heard = (event: Event) => {
    heardMs = performance.now();
    if (event instanceof MessageEvent && event.type === "beat") setServerNow(Number(event.data));
    lastHeardMs = serverNowMs();
    show("live");
  };
  for (const name of ["beat", "full", "delta", "shots"]) source.addEventListener(name, heard);
  source.addEventListener("shots", () => document.dispatchEvent(new CustomEvent(SHOTS_ARRIVED)));
  source.addEventListener("error", () => show("lost"));
  const timer = setInterval(() => {
    if (source.readyState === EventSource.CLOSED) {
      clearInterval(timer);
    } else if (performance.now() - heardMs > SILENCE_MS_MAX) {
      // A half-open line never errors by itself. Closed and reported, htmx opens it anew.
      source.close();
      source.dispatchEvent(new Event("error"));
    }
  }, LOOK_EVERY_MS);
  return source;
}

function show(state: "live" | "lost"): void {
  if (isLeaving) return;
  const root = document.documentElement;
  if (root.dataset["live"] === state) return;
  root.dataset["live"] = state;
  const banner = document.getElementById("live-lost");
  const since = document.getElementById("live-lost-since");
  const word = document.getElementById("live-word");
  if (since) since.textContent = localClock(lastHeardMs || Number(root.dataset["now"]));
  if (banner) banner.hidden = state === "live";
  if (word) word.textContent = word.dataset[state] ?? "";
}
