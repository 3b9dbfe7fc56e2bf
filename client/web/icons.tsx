/** Drawn here, so that nothing is loaded for them. They are decoration: what a button does stands in its label. */

const PATHS = {
  send: "M4 12 20 4l-5.5 16-3.2-6.8z",
  emoji: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8.5 14.5a4.4 4.4 0 0 0 7 0M9 9.5h.01M15 9.5h.01",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16.2 16.2 20.5 20.5",
  back: "M15 5 8 12l7 7",
  close: "M6 6l12 12M18 6 6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  everyone:
    "M9 11a3.2 3.2 0 1 0 0-6.4A3.2 3.2 0 0 0 9 11zM3.5 19c.4-3.2 2.6-5 5.5-5s5.1 1.8 5.5 5M15.5 4.900a3.2 3.2 0 0 1 0 5.900M17 14.300c2 .6 3.3 2.2 3.5 4.7",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  light:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4",
  dark: "M20 14.500A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.500z",
  leave: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  queued: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.300l2.8 1.7",
  sent: "M5 12.5 10 17.5 19.5 7",
  stored: "M4 13.5h4.5l1.2 2.5h4.6l1.2-2.5H20M4 13.5 6.5 6h11l2.5 7.5V19H4z",
  delivered: "M2 12.5 7 17.5 16.5 7M12 16.500l1.5 1L22.5 7",
  failed: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4.500M12 15.800v.1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 24 24" class="icon" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
