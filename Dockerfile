# The server with the shipped model, for a processor. Build: docker build -t glinermt .
FROM python:3.11-slim AS build
WORKDIR /source
RUN python -m venv /opt/glinermt
ENV PATH=/opt/glinermt/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./
# The build for processors: the one from the package index brings 3 GB of libraries for GPUs.
RUN pip install --constraint constraints.txt --index-url https://download.pytorch.org/whl/cpu torch
COPY . .
RUN pip install --constraint constraints.txt '.[serve,records,pii]' \
    && find /opt/glinermt -name __pycache__ -prune -exec rm -r {} +

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home glinermt
COPY --from=build /opt/glinermt /opt/glinermt
ENV PATH=/opt/glinermt/bin:$PATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 HOME=/tmp
USER 10001
EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=30s --timeout=5s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["glinermt", "serve", "--host", "0.0.0.0"]
