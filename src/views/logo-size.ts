/**
 * How large to show a picture of these proportions beside a square one of `side`: wide and tall ones get about as
 * much room, so that a wide one is lower than the square, and a tall one higher.
 */
export function logoSize(
  { width, height }: { width: number; height: number },
  side: number,
): { width: number; height: number } {
  // Nobody's logo is more than eight times as wide as high; what is, is shown small rather than as a thread.
  const ratio = Math.min(8, Math.max(1 / 4, width / height))
  const shown = side * ratio ** -0.3
  return { width: Math.round(shown * ratio), height: Math.round(shown) }
}
