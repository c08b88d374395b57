// Runs inside Chromium. Each page is rendered in a frame of its own and gives what a reader sees of it: `innerText`, with
// <details> opened, images replaced by their alternative texts, and blanks round boxes, which the eye sees apart.
async (sources) => {
  const all = [];
  for (const { content, type } of sources) {
    const url = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
    const frame = document.createElement('iframe');
    frame.width = '1000';
    await new Promise((resolve) => {
      frame.onload = resolve;
      frame.src = url;
      document.body.append(frame);
    });
    const page = frame.contentDocument;
    for (const details of page.querySelectorAll('details')) details.open = true;
    for (const hidden of page.querySelectorAll('[hidden=until-found]')) hidden.removeAttribute('hidden');
    const boxes =
      'audio, button, canvas, embed, iframe, input, meter, object, progress, svg, textarea, video';
    const apart = new Set(page.querySelectorAll(boxes));
    for (const element of page.querySelectorAll('[style]'))
      if (frame.contentWindow.getComputedStyle(element).display.startsWith('inline-')) apart.add(element);
    for (const element of apart) {
      element.before(' ');
      element.after(' ');
    }
    for (const image of page.querySelectorAll('img, area, input[type=image]'))
      image.replaceWith(` ${image.getAttribute('alt') ?? ''} `);
    all.push({ title: page.title, text: page.body?.innerText ?? '' });
    frame.remove();
    URL.revokeObjectURL(url);
  }
  return all;
};
