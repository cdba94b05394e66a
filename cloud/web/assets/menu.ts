// Closes an open menu when somebody turns away from it; opening and closing need no script.

export function startMenus(): void {
  document.addEventListener("click", (event) => closeAll((menu) => event.target instanceof Node && menu.contains(event.target)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const inside = document.activeElement?.closest<HTMLDetailsElement>("details.menu[open]");
    closeAll(() => false);
    inside?.querySelector("summary")?.focus();
  });
}

function closeAll(isKept: (menu: HTMLDetailsElement) => boolean): void {
  document.querySelectorAll<HTMLDetailsElement>("details.menu[open]").forEach((menu) => {
    if (!isKept(menu)) menu.open = false;
  });
}
