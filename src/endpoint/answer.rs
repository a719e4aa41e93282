//! What is answered to a request. The pages come from the caller.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY},
};

/// The type of plain text.
const PLAIN: &str = "text/plain; charset=utf-8";

/// The methods that are answered.
const ALLOWED: &str = "GET, HEAD";

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status of the response.
    pub status: StatusCode,
    /// The type of `body`.
    pub content_type: &'static str,
    /// The text. A HEAD request gets only its length.
    pub body: Bytes,
}

impl Page {
    /// A page of plain text.
    #[must_use]
    pub fn plain(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, content_type: PLAIN, body: text.into().into() }
    }
}

/// The pages of a server: of a path, and of the value of `Accept`, which is empty if the request has none. `None` if there is
/// no such page.
pub type Pages = Arc<dyn Fn(&str, &str) -> Option<BoxFuture<'static, Page>> + Send + Sync>;

/// The answer to a request. Its body is not read.
pub(super) async fn answer<B>(pages: &Pages, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let page = if matches!(*request.method(), Method::GET | Method::HEAD) {
        match pages(request.uri().path(), &accepted(&request)) {
            Some(page) => page.await,
            None => Page::plain(StatusCode::NOT_FOUND, "there is no such page: /metrics and /healthz are there\n"),
        }
    } else {
        Page::plain(StatusCode::METHOD_NOT_ALLOWED, "this server only answers GET and HEAD\n")
    };
    Ok(response(page))
}

/// All values of `Accept`, as one list.
fn accepted<B>(request: &Request<B>) -> String {
    let values = request.headers().get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

fn response(Page { status, content_type, body }: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static(ALLOWED));
    }
    response
}
