// Buttons that copy a command: shown only where the browser lets a page do so (https, or this machine itself).
const SAID_MS = 2_000;

export function startCopying(): void {
  if (!navigator.clipboard) return;
  document.documentElement.dataset["canCopy"] = "";
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>("[data-copy]") : null;
    if (button) void copy(button);
  });
}

async function copy(button: HTMLButtonElement): Promise<void> {
  const text = document.getElementById(button.dataset["copy"] ?? "")?.textContent ?? "";
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    return; // refused by the reader's settings: the text can still be selected
  }
  button.textContent = button.dataset["copied"] ?? "";
  button.disabled = true;
  setTimeout(() => { button.textContent = label; button.disabled = false; }, SAID_MS);
}
