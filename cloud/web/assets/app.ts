// Entry: htmx with server-sent events, live-stream watch, times in local form, charts.
import htmx from "htmx.org";
import "htmx-ext-sse";
import { startAlarms } from "./alarms";
import { startCharts } from "./chart";
import { startCopying } from "./copy";
import { watchStreams } from "./live";
import { startMenus } from "./menu";
import { startTimes } from "./times";

// htmx looks for `hx-` attributes after the document is parsed; the watch must stand before the first stream opens.
watchStreams(htmx);
startTimes();
startCharts();
startAlarms();
startMenus();
startCopying();
