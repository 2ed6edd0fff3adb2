addEventListener("DOMContentLoaded", () => {
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) target.src = target.dataset.src;
  });
  for (const image of document.querySelectorAll("img.late")) seen.observe(image);
});
