// The live alarm list: what is selected and what is unfolded outlives every change that the stream brings.

const selected = new Set<string>();
const unfolded = new Map<string, boolean>();

/** Watch the list, if the page has one. */
export function startAlarms(): void {
  const board = document.getElementById("alarm-board");
  if (!board) return;
  board.addEventListener("change", (event) => remember(event.target));
  board.addEventListener("toggle", (event) => rememberFold(event.target), true);
  document.getElementById("select-all")?.addEventListener("change", (event) => selectAll(board, event.target));
  new MutationObserver(() => restore(board)).observe(board, { childList: true, subtree: true });
  restore(board);
}

function boxes(board: HTMLElement): HTMLInputElement[] {
  return [...board.querySelectorAll<HTMLInputElement>("input[name=alarm_id]")];
}

function remember(target: EventTarget | null): void {
  if (!(target instanceof HTMLInputElement) || target.name !== "alarm_id") return;
  if (target.checked) selected.add(target.value);
  else selected.delete(target.value);
  tell();
}

function rememberFold(target: EventTarget | null): void {
  if (target instanceof HTMLDetailsElement && target.dataset["keep"]) unfolded.set(target.dataset["keep"], target.open);
}

function selectAll(board: HTMLElement, target: EventTarget | null): void {
  const isChecked = target instanceof HTMLInputElement && target.checked;
  for (const box of boxes(board)) {
    box.checked = isChecked;
    if (isChecked) selected.add(box.value);
    else selected.delete(box.value);
  }
  tell();
}

/** Put the marks back; what is no longer on the list is no longer selected. */
function restore(board: HTMLElement): void {
  const there = boxes(board);
  for (const box of there) if (box.checked !== selected.has(box.value)) box.checked = selected.has(box.value);
  const ids = new Set(there.map((box) => box.value));
  for (const id of selected) if (!ids.has(id)) selected.delete(id);
  for (const fold of board.querySelectorAll<HTMLDetailsElement>("details[data-keep]")) {
    const isOpen = unfolded.get(fold.dataset["keep"] ?? "");
    if (isOpen !== undefined && fold.open !== isOpen) fold.open = isOpen;
  }
  tell();
}

function tell(): void {
  const count = document.getElementById("selected-count");
  if (count && count.textContent !== String(selected.size)) count.textContent = String(selected.size);
}
