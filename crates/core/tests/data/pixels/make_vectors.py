"""Draws small pictures in every format and mode, and stores what Pillow and torchvision make of them.

    python make_vectors.py          (made with Pillow 13.0.0, torchvision 0.29.2, NumPy 2.4.6)

decode/<name>.<ext>      an encoded picture, drawn here
decode.tsv               name, orientation applied, size, and SHA-256 of the RGB bytes of
                         `ImageOps.exif_transpose(image).convert("RGB")`; or `error`
prepare.tsv              name of a picture in decode/, a spec as TOML in one line, the output's shape, and SHA-256 of the
                         bytes of the 8-bit pixels after torchvision's Resize and CenterCrop or Pillow's paste
normalize.f32            values of torchvision's ToTensor and Normalize for the picture `wide_420.jpg`

Hashes are enough, because the pixels are equal to the bit; the reader says for every case which one differs.
The pictures are encoded once and checked in: another libjpeg or libwebp would encode them otherwise. With `--hashes` only
the hashes are made again, from the pictures as they are.
"""

import csv
import hashlib
import io
import pathlib
import struct
import sys
import zlib

import numpy as np
import torchvision.transforms.functional as F
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode

HERE = pathlib.Path(__file__).parent
DECODE = HERE / "decode"
W, H = 53, 38


def picture(w=W, h=H, seed=1):
    """Gradients, a disc, stripes and grain: every filter and every chroma subsampling has something to do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    u, v = x / w, y / h
    disc = ((u - 0.6) ** 2 + (v - 0.4) ** 2 < 0.06) * 1.0
    stripes = (np.sin(x * 1.7) > 0) * (v > 0.7)
    rgb = np.stack([
        220 * u + 60 * disc,
        200 * v + 90 * stripes,
        180 * (1 - u) * v + 120 * disc + 40,
    ], -1) + rng.normal(0, 12, (h, w, 3))
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 80, **options})
    return out.getvalue()


def save(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour, rows, before=(), after=()):
    """A PNG from raw rows: for what Pillow does not write."""
    raw = b"".join(b"\0" + row for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), *(chunk(*c) for c in before), chunk(b"IDAT", zlib.compress(raw))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts + [chunk(*c) for c in after] + [chunk(b"IEND", b"")])


def words(array):
    return [row.astype(">u2").tobytes() for row in array.reshape(array.shape[0], -1)]


def xmp(orientation):
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def draw():
    rgb = picture()
    alpha = Image.fromarray((np.mgrid[0:H, 0:W][1] * 5 % 256).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    gray, bits = rgb.convert("L"), rgb.convert("1")
    palette = rgb.quantize(60)
    cmyk = rgb.convert("CMYK")
    ramp = (np.mgrid[0:H, 0:W][1] * 9 + np.mgrid[0:H, 0:W][0]).astype(np.uint16)
    deep = np.asarray(rgb).astype(np.uint16) * 257 + np.uint16(131)
    files = {}

    for name, sampling in {"444": 0, "422": 1, "420": 2}.items():
        files[f"baseline_{name}.jpg"] = jpeg(rgb, subsampling=sampling)
        files[f"progressive_{name}.jpg"] = jpeg(rgb, subsampling=sampling, progressive=True)
    files["gray.jpg"] = jpeg(gray)
    files["cmyk_adobe.jpg"] = jpeg(cmyk)
    files["keep_rgb.jpg"] = jpeg(rgb, keep_rgb=True)
    files["restarts.jpg"] = jpeg(rgb, restart_marker_rows=1)
    files["one_pixel.jpg"] = jpeg(rgb.crop((0, 0, 1, 1)))
    for value in range(1, 9):
        files[f"exif_{value}.jpg"] = jpeg(rgb, exif=exif(value))
    files["xmp_6.jpg"] = jpeg(rgb, xmp=xmp(6))
    whole = files["baseline_420.jpg"]
    files["tail_behind_the_end.jpg"] = whole + b"\0" * 40 + b"trailer"
    files["hole_in_the_data.jpg"] = whole[: len(whole) // 2] + whole[len(whole) // 2 + 60 :]
    files["truncated.jpg"] = whole[: len(whole) // 2]
    files["no_end_marker.jpg"] = whole[:-2]
    # Larger than a crop's margins, so that the cropped decode is really cropped.
    wide = picture(317, 203, 3)
    for name, sampling in {"444": 0, "422": 1, "420": 2}.items():
        files[f"wide_{name}.jpg"] = jpeg(wide, quality=60, subsampling=sampling)
    files["wide_progressive.jpg"] = jpeg(wide, quality=60, progressive=True)
    files["wide_gray.jpg"] = jpeg(wide.convert("L"), quality=60)
    files["wide_exif_6.jpg"] = jpeg(wide, quality=60, exif=exif(6))

    files["rgb.png"] = save(rgb, "PNG")
    files["rgba.png"] = save(rgba, "PNG")
    files["la.png"] = save(rgba.convert("LA"), "PNG")
    files["l.png"] = save(gray, "PNG")
    files["bits.png"] = save(bits, "PNG")
    files["palette.png"] = save(palette, "PNG")
    files["palette_4.png"] = save(rgb.quantize(11), "PNG")
    files["palette_transparent.png"] = save(palette, "PNG", transparency=3)
    files["rgb_transparent.png"] = save(rgb, "PNG", transparency=rgb.getpixel((4, 4)))
    files["gray_2.png"] = png(W, H, 2, 0, [bytes((x * 37 + y) % 256 for x in range((W + 3) // 4)) for y in range(H)])
    files["gray_4.png"] = png(W, H, 4, 0, [bytes((x * 37 + y) % 256 for x in range((W + 1) // 2)) for y in range(H)])
    files["gray_16.png"] = png(W, H, 16, 0, words(ramp))
    files["gray_16_transparent.png"] = png(W, H, 16, 0, words(ramp), before=[(b"tRNS", b"\0\x20")])
    files["la_16.png"] = png(W, H, 16, 4, words(deep[:, :, :2]))
    files["rgb_16.png"] = png(W, H, 16, 2, words(deep))
    files["rgba_16.png"] = png(W, H, 16, 6, words(np.concatenate([deep, deep[:, :, :1]], -1)))
    files["exif_6.png"] = save(rgb, "PNG", exif=exif(6))
    rows = [row.tobytes() for row in np.asarray(rgb)]
    files["exif_behind_the_data_8.png"] = png(W, H, 8, 2, rows, after=[(b"eXIf", exif(8)[6:])])
    files["xmp_3.png"] = png(W, H, 8, 2, rows, before=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(3))])
    frames = [picture(seed=s) for s in (5, 6)]
    files["animated.png"] = save(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=50)
    files["truncated.png"] = files["rgb.png"][:2000]

    files["lossy.webp"] = save(rgb, "WEBP", quality=70)
    files["lossless.webp"] = save(rgb, "WEBP", lossless=True)
    files["lossy_alpha.webp"] = save(rgba, "WEBP", quality=70)
    files["lossless_alpha.webp"] = save(rgba, "WEBP", lossless=True, exact=True)
    files["exif_6.webp"] = save(rgb, "WEBP", quality=70, exif=exif(6))
    files["animated.webp"] = save(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=50)
    files["animated_alpha.webp"] = save(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(180)], lossless=True, exact=True)
    files["truncated.webp"] = files["lossy.webp"][:300]

    files["still.gif"] = save(palette, "GIF")
    files["transparent.gif"] = save(palette, "GIF", transparency=palette.getpixel((10, 10)))
    files["interlaced.gif"] = save(palette, "GIF", interlace=1)
    files["animated.gif"] = save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)
    files["gray.gif"] = save(gray, "GIF")
    files["frame_inside.gif"] = frame_inside(files["still.gif"], None)
    files["frame_inside_transparent.gif"] = frame_inside(files["still.gif"], 7)
    files["truncated.gif"] = files["still.gif"][:900]

    files["rgb.bmp"] = save(rgb, "BMP")
    files["l.bmp"] = save(gray, "BMP")
    files["bits.bmp"] = save(bits, "BMP")
    files["palette.bmp"] = save(palette, "BMP")
    files["rgba.bmp"] = save(rgba, "BMP")
    files["bgr_555.bmp"] = bmp_16(ramp)
    files["truncated.bmp"] = files["rgb.bmp"][:3000]

    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        files[f"rgb_{compression}.tiff"] = save(rgb, "TIFF", compression=compression)
    files["l.tiff"] = save(gray, "TIFF")
    files["la.tiff"] = save(rgba.convert("LA"), "TIFF")
    files["bits.tiff"] = save(bits, "TIFF")
    files["bits_group4.tiff"] = save(bits, "TIFF", compression="group4")
    files["palette.tiff"] = save(palette, "TIFF")
    files["palette_lzw.tiff"] = save(palette, "TIFF", compression="tiff_lzw")
    files["rgba.tiff"] = save(rgba, "TIFF")
    files["cmyk.tiff"] = save(cmyk, "TIFF")
    files["gray_16.tiff"] = save(Image.fromarray(ramp), "TIFF")
    files["exif_6.tiff"] = save(rgb, "TIFF", tiffinfo={0x0112: 6})
    files["pages.tiff"] = save(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    files["truncated.tiff"] = files["rgb_tiff_lzw.tiff"][:1500]
    files["white_is_zero.tiff"] = white_is_zero(files["l.tiff"])

    DECODE.mkdir(exist_ok=True)
    for old in DECODE.iterdir():
        old.unlink()
    for name, data in files.items():
        (DECODE / name).write_bytes(data)


def frame_inside(gif, transparent):
    """The same frame on a canvas that is larger by 9 x 6, at (5, 2)."""
    data = bytearray(gif)
    data[6:10] = struct.pack("<HH", W + 9, H + 6)
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    while data[at] == 0x21:  # extensions
        end = at + 2
        while data[end]:
            end += data[end] + 1
        del data[at : end + 1]
    assert data[at] == 0x2C
    data[at + 1 : at + 5] = struct.pack("<HH", 5, 2)
    if transparent is not None:
        data[at:at] = b"\x21\xf9\x04\x01\0\0" + bytes([transparent]) + b"\0"
    return bytes(data)


def bmp_16(ramp):
    stride = (2 * W + 3) // 4 * 4
    rows = b"".join((row.astype("<u2") * 31).tobytes().ljust(stride, b"\0") for row in ramp[::-1])
    head = struct.pack("<IiiHHIIiiII", 40, W, H, 1, 16, 0, len(rows), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + head + rows


def white_is_zero(tiff):
    at = struct.unpack("<I", tiff[4:8])[0]
    data = bytearray(tiff)
    for i in range(struct.unpack("<H", tiff[at : at + 2])[0]):
        entry = at + 2 + 12 * i
        if data[entry : entry + 2] == b"\x06\x01":
            data[entry + 8] = 0
    return bytes(data)


def digest(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def rgb(name):
    image = Image.open(DECODE / name)
    image.load()
    return ImageOps.exif_transpose(image).convert("RGB")


def decode_cases():
    for path in sorted(DECODE.iterdir()):
        try:
            pixels = np.asarray(rgb(path.name))
            yield path.name, f"{pixels.shape[1]}x{pixels.shape[0]}", digest(pixels)
        except Exception as error:  # noqa: BLE001 - whatever Pillow raises is a refusal
            print(f"{path.name}: {type(error).__name__}: {error}")
            yield path.name, "error", ""


MODES = {
    "nearest": InterpolationMode.NEAREST, "box": InterpolationMode.BOX, "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC, "lanczos": InterpolationMode.LANCZOS,
}


def prepared(name, filter="bilinear", shorter=None, longer=None, exact=None, crop=None, pad=None, value=0, channels="rgb"):
    image = rgb(name)
    if channels == "gray":
        image = image.convert("L")
    spec = [f'channels = "{channels}"', f'filter = "{filter}"']
    if shorter:
        spec.append(f"resize = {{ shorter = {shorter} }}")
        image = F.resize(image, shorter, MODES[filter])
    if longer:
        spec.append(f"resize = {{ longer = {longer} }}")
        # As `Resize(None, max_size = longer)`.
        w, h = image.size
        size = (int(longer * w / h), longer) if w <= h else (longer, int(longer * h / w))
        image = F.resize(image, size[::-1], MODES[filter])
    if exact:
        spec.append(f"resize = {{ exact = {exact} }}")
        image = F.resize(image, exact, MODES[filter])
    if crop:
        spec.append(f"crop = {crop}")
        image = F.center_crop(image, crop)
    if pad:
        spec.append(f"pad = {{ size = {pad}, value = {value} }}")
        canvas = Image.new(image.mode, (pad[1], pad[0]), (value,) * len(image.getbands()))
        canvas.paste(image, ((pad[1] - image.size[0]) // 2, (pad[0] - image.size[1]) // 2))
        image = canvas
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if channels == "bgr":
        pixels = pixels[:, :, ::-1]
    return name, "; ".join(spec), "x".join(map(str, pixels.shape)), digest(pixels)


def prepare_cases():
    for filter in MODES:
        for name in ("wide_420.jpg", "wide_exif_6.jpg", "rgb.png"):
            yield prepared(name, filter, shorter=64, crop=[56, 56])
            yield prepared(name, filter, shorter=150, crop=[140, 131])
            yield prepared(name, filter, exact=[40, 61])
            yield prepared(name, filter, longer=90)
    for name in ("wide_444.jpg", "wide_422.jpg", "wide_420.jpg", "wide_progressive.jpg", "wide_gray.jpg"):
        yield prepared(name, shorter=96, crop=[24, 24])
        yield prepared(name, crop=[31, 33])
        yield prepared(name, "bicubic", shorter=180, crop=[150, 40])
    # Simple ratios, where sums meet halves exactly.
    yield prepared("wide_420.jpg", crop=[200, 200])
    yield prepared("rgb.png", exact=[19, 106])
    yield prepared("rgb.png", exact=[57, 53])
    yield prepared("rgb.png", shorter=38, crop=[37, 36])
    # Padding: torchvision's CenterCrop of smaller pictures, and a canvas.
    yield prepared("rgb.png", crop=[50, 70])
    yield prepared("rgb.png", crop=[20, 71])
    yield prepared("rgb.png", shorter=20, crop=[33, 21])
    yield prepared("rgb.png", longer=40, pad=[41, 47], value=114)
    yield prepared("rgb.png", pad=[H, W])
    for channels in ("gray", "bgr"):
        yield prepared("wide_420.jpg", shorter=64, crop=[56, 56], channels=channels)
        yield prepared("rgb.png", "lanczos", shorter=30, crop=[40, 20], channels=channels)
    yield prepared("one_pixel.jpg", shorter=16, crop=[8, 8])
    yield prepared("cmyk_adobe.jpg", shorter=32, crop=[32, 32])


def normalized():
    """[3, 24, 24] of float32, as training code makes it."""
    image = F.center_crop(F.resize(rgb("wide_420.jpg"), 32), [24, 24])
    tensor = F.normalize(F.to_tensor(image), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    (HERE / "normalize.f32").write_bytes(tensor.numpy().astype("<f4").tobytes())


def write(name, rows):
    with open(HERE / name, "w", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    if "--hashes" not in sys.argv:
        draw()
    write("decode.tsv", decode_cases())
    write("prepare.tsv", prepare_cases())
    normalized()
