// Tabs: one stop of the Tab key, and the arrows move between them.

const tabs = [...document.querySelectorAll('[role="tab"]')];

export function showTab(tab, focus = false) {
  for (const other of tabs) {
    const here = other === tab;
    other.setAttribute('aria-selected', String(here));
    other.tabIndex = here ? 0 : -1;
    document.getElementById(other.getAttribute('aria-controls')).hidden = !here;
  }
  if (focus) tab.focus();
}

for (const tab of tabs) {
  tab.addEventListener('click', () => showTab(tab));
  tab.addEventListener('keydown', (event) => {
    const at = tabs.indexOf(tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    showTab(tabs[(next + tabs.length) % tabs.length], true);
  });
}
