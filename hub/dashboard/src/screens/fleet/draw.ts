// Flags on a canvas, as kit.css draws them.

const names = ["ready", "progressing", "degraded", "drifted", "drifted-edge", "stale", "never", "on-signal", "ink"] as const;
export type Palette = Record<(typeof names)[number], string>;

/** palette reads the colours of the theme: a custom property holds light-dark() unresolved, a computed colour does not. */
export function palette(beside: Element): Palette {
  const probe = document.createElement("i");
  beside.after(probe);
  const out = {} as Palette;
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    out[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return out;
}

/** From this side on, in pixels, a square has room for more than its colour. */
const flags = 8;

/** drawFlag draws the flag of a class of kit.css into a square. */
export function drawFlag(g: CanvasRenderingContext2D, colours: Palette, flag: string, x: number, y: number, side: number) {
  const small = side < flags;
  const edge = (colour: string) => {
    g.strokeStyle = colour;
    g.lineWidth = 1;
    g.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
  };
  switch (flag) {
    case "ready":
      g.fillStyle = colours.ready;
      g.fillRect(x, y, side, side);
      return;
    case "progressing":
      g.fillStyle = colours.progressing;
      g.fillRect(x, y, small ? side : Math.ceil(side / 2), side);
      return edge(colours.progressing);
    case "degraded":
      g.fillStyle = colours.degraded;
      g.fillRect(x - 1, y - 1, side + 2, side + 2); // its gutter, too: found first, also without colour
      if (!small) saltire(g, colours["on-signal"], x, y, side);
      return;
    case "drifted":
      g.fillStyle = colours.drifted;
      triangle(g, x, y, side);
      return edge(colours["drifted-edge"]);
    case "stale":
      if (!small) hatch(g, colours.stale, x, y, side);
      return edge(colours.stale);
    default:
      return edge(colours.never);
  }
}

function saltire(g: CanvasRenderingContext2D, colour: string, x: number, y: number, side: number) {
  g.strokeStyle = colour;
  g.lineWidth = 1.3;
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x + side, y + side);
  g.moveTo(x + side, y);
  g.lineTo(x, y + side);
  g.stroke();
}

function triangle(g: CanvasRenderingContext2D, x: number, y: number, side: number) {
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x + side, y + side);
  g.lineTo(x, y + side);
  g.fill();
}

function hatch(g: CanvasRenderingContext2D, colour: string, x: number, y: number, side: number) {
  g.save();
  g.beginPath();
  g.rect(x, y, side, side);
  g.clip();
  g.strokeStyle = colour;
  g.lineWidth = 1.1;
  g.beginPath();
  for (let d = -side; d < side; d += 3.2) {
    g.moveTo(x + d, y + side);
    g.lineTo(x + d + side, y);
  }
  g.stroke();
  g.restore();
}
