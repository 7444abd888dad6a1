/** Hexadecimal digits in bulk, without a string for each id. Lower-case only, as ids are written. */

/** Byte of text → value of the digit; 0xff for what is none. */
export const hexDigitValues = new Uint8Array(256).fill(0xff);
for (let value = 0; value < 16; value++) hexDigitValues[value.toString(16).charCodeAt(0)] = value;

/** Byte → its two digits as bytes of text, the first one low. */
const digitPairs = Uint16Array.from({ length: 256 }, (_, byte) => {
  const [high, low] = byte.toString(16).padStart(2, '0');
  return high.charCodeAt(0) | (low.charCodeAt(0) << 8);
});

const idBytes = 32;
/** Two quotes, 64 digits and a comma or bracket. */
const idJsonBytes = 67;

/** Ids of 32 bytes each as a JSON list. */
export function hexIdList(ids: Uint8Array): Uint8Array {
  const json = new Uint8Array((ids.byteLength / idBytes) * idJsonBytes + 1);
  json[0] = 0x5b; // [
  let to = 1;
  for (let from = 0; from < ids.byteLength; ) {
    json[to++] = 0x22;
    for (const end = from + idBytes; from < end; from++) {
      const pair = digitPairs[ids[from]];
      json[to++] = pair & 0xff;
      json[to++] = pair >> 8;
    }
    json[to++] = 0x22;
    json[to++] = 0x2c;
  }
  json[json.byteLength - 1] = 0x5d; // ] in the place of the last comma
  return json;
}
