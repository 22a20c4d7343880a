import { useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Signal } from "@preact/signals";

/** Dialog is shown while open is true. Escape, and a press beside it, close it; the browser keeps the focus in it, and gives it back. */
export function Dialog({ open, label, children }: { open: Signal<boolean>; label: string; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  // Before the next key can come, which is for the dialog.
  useLayoutEffect(() => {
    if (open.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open.value]);
  const outside = (e: MouseEvent) => {
    if (e.target === dialog.current) open.value = false;
  };
  return (
    <dialog ref={dialog} class="float" aria-label={label} onClose={() => (open.value = false)} onClick={outside}>
      {open.value && children}
    </dialog>
  );
}
