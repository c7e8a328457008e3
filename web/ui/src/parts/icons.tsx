// Inline SVG. Shapes carry the meaning together with a word; colour only repeats it. Decorative by default: the word
// beside it is what assistive technology reads.

import type { ComponentChildren } from "preact";
import type { AssetKind, HealthState } from "../lib/types.ts";

function Svg({ children, class: name = "" }: { children: ComponentChildren; class?: string }) {
  return (
    <svg class={`icon ${name}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

/** Severity of an asset: octagon, triangle, diamond; rings for what is not abnormal. */
export function StateShape({ state }: { state: HealthState }) {
  switch (state) {
    case "act":
      return (
        <Svg class="shape shape-act">
          <path class="fill" d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" />
          <path class="sign" d="M8 4.200v4.600M8 11.300v.4" />
        </Svg>
      );
    case "plan":
      return (
        <Svg class="shape shape-plan">
          <path class="fill" d="M8 1.300 15.300 14.300H.7z" />
          <path class="sign" d="M8 6v3.600M8 11.900v.3" />
        </Svg>
      );
    case "monitor":
      return (
        <Svg class="shape shape-monitor">
          <path class="fill" d="M8 1 15 8 8 15 1 8z" />
          <circle class="dot" cx="8" cy="8" r="1.900" />
        </Svg>
      );
    case "learning":
      return (
        <Svg class="shape shape-learning">
          <circle class="ring" cx="8" cy="8" r="5.500" />
          <path class="arc" d="M8 2.500A5.500 5.500 0 0 1 13.500 8" />
        </Svg>
      );
    case "unknown":
      return (
        <Svg class="shape shape-unknown">
          <circle class="ring" cx="8" cy="8" r="5.500" />
          <path class="arc" d="M6.300 6.500a1.700 1.700 0 1 1 2.500 1.500c-.6.3-.8.6-.8 1.200M8 11v.2" />
        </Svg>
      );
    case "acceptable":
      return (
        <Svg class="shape shape-acceptable">
          <circle class="dot" cx="8" cy="8" r="3" />
        </Svg>
      );
  }
}

/** NE 107: F is a circle with a cross, S a triangle with a question mark; good is nothing but a grey dot. */
export function DeviceShape({ status }: { status: "failure" | "out-of-spec" | "good" }) {
  switch (status) {
    case "failure":
      return (
        <Svg class="shape device-failure">
          <circle class="fill" cx="8" cy="8" r="6.800" />
          <path class="sign" d="m5.300 5.300 5.400 5.400m0-5.400-5.400 5.400" />
        </Svg>
      );
    case "out-of-spec":
      return (
        <Svg class="shape device-spec">
          <path class="fill" d="M8 1.300 15.300 14.300H.7z" />
          <path class="sign" d="M6.600 7.200a1.400 1.400 0 1 1 2.100 1.200c-.5.3-.7.5-.7 1M8 11.900v.2" />
        </Svg>
      );
    case "good":
      return (
        <Svg class="shape shape-acceptable">
          <circle class="dot" cx="8" cy="8" r="3" />
        </Svg>
      );
  }
}

/** Machines as process diagrams draw them (ISO 10628, ISO 14617). */
export function KindIcon({ kind }: { kind: AssetKind }) {
  return <Svg class="line kind">{kindPaths(kind)}</Svg>;
}

function kindPaths(kind: AssetKind) {
  switch (kind) {
    case "pump":
      return (
        <>
          <circle cx="8" cy="8" r="6" />
          <path d="M8 2 14 8 8 14" />
        </>
      );
    case "fan":
      return (
        <>
          <circle cx="8" cy="8" r="6" />
          <path d="M8 8C6 4.500 9 3.300 9.800 5S8 8 8 8c-2 3.500 1 4.700 1.800 3S8 8 8 8M8 8c-4 0-3.500-3-1.800-2.800" />
        </>
      );
    case "motor":
      return (
        <>
          <circle cx="8" cy="8" r="6" />
          <path d="M5.500 10.500v-5L8 8.800l2.500-3.300v5" />
        </>
      );
    case "gearbox":
      return (
        <>
          <rect x="2" y="3" width="12" height="10" rx="1" />
          <path d="M2 13 14 3" />
        </>
      );
    case "spindle":
      return (
        <>
          <path d="M3.500 1.500h9v5h-9zM5.500 6.500h5v3h-5zM7 9.500h2v3.500L8 14.500 7 13z" />
        </>
      );
    case "compressor":
      return (
        <>
          <circle cx="8" cy="8" r="6" />
          <path d="m3.200 4.500 10.300 2m-10.300 5 10.300-2" />
        </>
      );
    case "machine":
      return (
        <>
          <rect x="2.500" y="4" width="11" height="8" rx="1" />
          <path d="M5 12v2m6-2v2M5.500 7h5" />
        </>
      );
  }
}

const PATHS = {
  overview: "M2 2.500h5v5H2zM9 2.500h5v3H9zM9 8h5v5.500H9zM2 10h5v3.500H2z",
  alarms: "M8 2a4 4 0 0 1 4 4c0 4 1.500 5 1.500 5h-11S4 10 4 6a4 4 0 0 1 4-4zM6.500 13.500a1.600 1.600 0 0 0 3 0",
  connectors: "M5.500 2v3.500m5-3.500v3.500M3.500 5.500h9v2.700a4.500 4.500 0 0 1-9 0zM8 12.700V15",
  uplink: "M8 13.500v-9M4.500 8 8 4.500 11.500 8M3 2h10",
  check: "m3 8.500 3.300 3.300L13 5",
  spanner: "M13.500 4.500a3.300 3.300 0 0 1-4.300 3.900l-4.900 4.900a1.400 1.400 0 0 1-2-2l4.900-4.900a3.300 3.300 0 0 1 4.200-4L9.500 4.300l.4 1.800 1.800.4z",
  pause: "M5.500 3.500v9m5-9v9",
  play: "M5 3.500v9l7.500-4.500z",
  light: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1.100 1.100M11.900 11.900 13 13M13 3l-1.100 1.100M4.100 11.900 3 13",
  dark: "M13.300 9.600A5.800 5.800 0 0 1 6.400 2.700a5.800 5.800 0 1 0 6.900 6.900z",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  plus: "M8 3.500v9M3.500 8h9",
  minus: "M3.500 8h9",
  left: "M10 3.500 5.500 8l4.500 4.500",
  right: "m6 3.500 4.500 4.500L6 12.500",
  search: "M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9zm3.300 7.800L14 14",
  close: "m4 4 8 8m0-8-8 8",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <Svg class="line">
      <path d={PATHS[name]} />
    </Svg>
  );
}

/** The mark: a steady line that shows its first deviation. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" />
      <path d="M5 18h5l3-8 4.500 14 3.500-9 1.500 3H27" />
    </svg>
  );
}
