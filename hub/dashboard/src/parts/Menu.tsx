import { useId, useLayoutEffect, useRef } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Signal } from "@preact/signals";

interface Props {
  open: Signal<boolean>;
  /** What opens, in words; they are on the button, too, unless something else is. */
  label: string;
  button?: ComponentChildren;
  buttonClass?: string;
  title?: string | undefined;
  /** The key that opens it. */
  shortcut?: string | undefined;
  className?: string;
  /** What a screen reader is told of what was done. */
  said?: string;
  children: ComponentChildren;
}

/** The least room between what opens and the window's edge, in pixels. */
const edge = 8;

/**
 * Menu is a button, and what opens beside it. Focus goes in when it opens, and back to the button when it closes; Escape closes it, and so does whoever
 * goes elsewhere, by keys or by the pointer.
 */
export function Menu({ open, label, button, buttonClass = "btn", title, shortcut, className = "", said = "", children }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const float = useRef<HTMLDivElement>(null);
  const id = useId();
  const shown = open.value;
  // Before the next key can come, which is for what has opened.
  useLayoutEffect(() => {
    if (!shown) return;
    const opened = float.current;
    const left = opened?.getBoundingClientRect().left ?? edge;
    if (left < edge) opened?.style.setProperty("--shift", `${left - edge}px`);
    opened?.focus();
    const outside = (e: PointerEvent) => {
      if (e.target instanceof Node && !root.current?.contains(e.target)) open.value = false;
    };
    // Wherever the focus is: a button that had it may be disabled by now.
    const escape = (e: KeyboardEvent) => {
      if (e.key === "Escape") open.value = false;
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", escape);
      // What had focus is gone, unless somebody went elsewhere.
      if (document.activeElement === document.body) opener.current?.focus();
    };
  }, [shown]);
  // Where the button itself goes with what was done, the page has the focus, not nobody.
  useLayoutEffect(
    () => () => {
      if (root.current?.contains(document.activeElement)) document.getElementById("main")?.focus({ preventScroll: true });
    },
    [],
  );
  const away = ({ relatedTarget }: FocusEvent) => {
    if (relatedTarget instanceof Node && !root.current?.contains(relatedTarget)) open.value = false;
  };
  return (
    <div class="menu" ref={root} onFocusOut={away}>
      <button
        ref={opener}
        type="button"
        class={buttonClass}
        title={title}
        aria-label={button === undefined ? undefined : label}
        aria-haspopup="dialog"
        aria-expanded={shown}
        aria-controls={shown ? id : undefined}
        data-key={shortcut}
        onClick={() => (open.value = !shown)}
      >
        {button ?? label} {shortcut && <kbd aria-hidden="true">{shortcut}</kbd>}
      </button>
      <span class="sr" role="status">
        {said}
      </span>
      {shown && (
        <div class={`float ${className}`} ref={float} id={id} role="dialog" aria-label={label} tabIndex={-1}>
          {children}
        </div>
      )}
    </div>
  );
}
