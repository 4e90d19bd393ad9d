// Numbers and times for people. Sizes are decimal and rounded like in the server's listing (src/ui/text.c).

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
const number = new Intl.NumberFormat("en");

export function formatNumber(value) {
  return number.format(value);
}

// formatCount(1, "file") is "1 file".
export function formatCount(count, singular, plural = singular + "s") {
  return `${number.format(count)} ${count === 1 ? singular : plural}`;
}

export function formatSize(bytes) {
  let index = 0;
  let value = bytes;
  while (index < UNITS.length - 1 && Math.round(value) >= 1000) {
    value /= 1000;
    index++;
  }
  const digits = index > 0 && Math.round(value * 10) < 100 ? value.toFixed(1) : Math.round(value);
  return `${digits} ${UNITS[index]}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MS = 86_400_000;

const twoDigits = (value) => String(value).padStart(2, "0");
const midnight = (time) => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();

function dayOf(time) {
  const ago = Math.round((midnight(new Date()) - midnight(time)) / DAY_MS); // rounded, for not all days have 24 hours
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  return `${time.getDate()} ${MONTHS[time.getMonth()]} ${time.getFullYear()}`;
}

// In this browser's time zone: "Today 10:00", "22 Nov 2026 10:00". (Intl's formats take too long for rows that fly by.)
export function formatTime(milliseconds) {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? "?" : `${dayOf(time)} ${twoDigits(time.getHours())}:${twoDigits(time.getMinutes())}`;
}

const fullTime = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "medium" });

// With the day of the week and seconds, for a tooltip.
export function formatFullTime(milliseconds) {
  return Number.isNaN(milliseconds) ? "No time" : fullTime.format(milliseconds);
}

// About how long: "5 seconds", "3 minutes", "2 hours".
export function formatDuration(seconds) {
  if (seconds < 60) return formatCount(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 3600) return formatCount(Math.round(seconds / 60), "minute");
  return formatCount(Math.round(seconds / 360) / 10, "hour");
}

// What entries are together: "2 folders, 3 files, 1.2 MB"; "" for none.
export function summaryOf(entries) {
  let folders = 0;
  let bytes = 0;
  for (const entry of entries) {
    if (entry.isFolder) folders++;
    bytes += entry.size;
  }
  const files = entries.length - folders;
  return [folders > 0 && formatCount(folders, "folder"), files > 0 && `${formatCount(files, "file")}, ${formatSize(bytes)}`].filter(Boolean).join(", ");
}
